import { UnstyledButton } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { useTerm } from '@/i18n/useLanguage';
import { Swatch } from '@/ui/Swatch';

import { meaningOf } from './scene';
import classes from './Timeline.module.css';

interface Props {
  categories: readonly string[];
  hidden: ReadonlySet<string>;
  onToggle: (category: string) => void;
}

/** What each colour is; a press takes its slices out of the picture, or back in. */
export function Legend({ categories, hidden, onToggle }: Props) {
  const { t } = useTranslation('lanes');
  const term = useTerm();
  return (
    <div className={classes.legend} role="group" aria-label={t('legend')}>
      {categories.map((category) => (
        <UnstyledButton
          key={category}
          className={classes.key}
          aria-pressed={!hidden.has(category)}
          onClick={() => {
            onToggle(category);
          }}
        >
          <Swatch meaning={meaningOf(category)} />
          {t(`category.${category}`, { defaultValue: term('term', category) })}
        </UnstyledButton>
      ))}
    </div>
  );
}
