import { ActionIcon, Tooltip, useComputedColorScheme, useMantineColorScheme } from '@mantine/core';
import { Languages, Moon, Sun } from 'lucide-react';
import { useTranslation } from 'react-i18next';

import { useLanguage } from '@/i18n/useLanguage';

/** To the other language. */
export function LanguageSwitch() {
  const { t, i18n } = useTranslation('shell');
  const other = useLanguage() === 'zh' ? 'en' : 'zh';
  return (
    <Tooltip label={t('language')}>
      <ActionIcon
        variant="subtle"
        color="gray"
        aria-label={t('language')}
        onClick={() => void i18n.changeLanguage(other)}
      >
        <Languages size={16} />
      </ActionIcon>
    </Tooltip>
  );
}

/** Between light and dark. */
export function SchemeSwitch() {
  const { t } = useTranslation('shell');
  const { setColorScheme } = useMantineColorScheme();
  const isDark = useComputedColorScheme('light') === 'dark';
  const label = t(isDark ? 'scheme.light' : 'scheme.dark');
  const choose = () => {
    setColorScheme(isDark ? 'light' : 'dark');
  };
  return (
    <Tooltip label={label}>
      <ActionIcon variant="subtle" color="gray" aria-label={label} onClick={choose}>
        {isDark ? <Sun size={16} /> : <Moon size={16} />}
      </ActionIcon>
    </Tooltip>
  );
}
