import { ActionIcon, Group, Tooltip } from '@mantine/core';
import { Printer } from 'lucide-react';
import { useEffect } from 'react';
import { useTranslation } from 'react-i18next';

import { LanguageSwitch, SchemeSwitch } from '@/app/Switches';
import { useFormat } from '@/i18n/useLanguage';
import { useAnswer } from '@/job/useAnswer';
import { Brand } from '@/ui/Brand';

import classes from './Report.module.css';
import type { SectionName } from './sections';
import { usePrint } from './usePrint';

/** What it is about, the way to its sections, and how it is looked at. */
export function Header({ sections }: { sections: readonly SectionName[] }) {
  const { t } = useTranslation('report');
  const print = usePrint();
  return (
    <header className={classes.header}>
      <Brand />
      <Subject />
      <nav aria-label={t('sections')} className={classes.nav}>
        {sections.map((name) => (
          <a key={name} href={`#${name}`}>
            {t(`section.${name}`)}
          </a>
        ))}
      </nav>
      <Group gap={4} wrap="nowrap" className={classes.switches}>
        <LanguageSwitch />
        <SchemeSwitch />
        <Tooltip label={t('print')}>
          <ActionIcon variant="subtle" color="gray" aria-label={t('print')} onClick={print}>
            <Printer size={16} />
          </ActionIcon>
        </Tooltip>
      </Group>
    </header>
  );
}

/** The model and the zones; also what the tab is called. */
function Subject() {
  const { t } = useTranslation('report');
  const format = useFormat();
  const problem = useAnswer().data?.problem;
  const zones = format.list(problem?.cluster.zones.map(({ name }) => name) ?? []);
  const subject = problem == null ? '' : t('subject', { model: problem.model.name, zones });
  useEffect(() => {
    document.title = subject === '' ? t('title') : t('of', { subject });
  }, [subject, t]);
  return <span className={classes.subject}>{subject}</span>;
}
