import { Accordion, List } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useJob } from '@/job/JobContext';
import type { RankedPlan } from '@/job/useAnswer';
import { Sentence } from '@/ui/Sentence';

import classes from './Notes.module.css';

interface Props {
  answer: Schemas['Answer'];
  ranked: RankedPlan | undefined;
  isStale: boolean;
}

/** Why this plan, what was assumed, what to be warned of: sentences of the engine. */
export function Notes({ answer, ranked, isStale }: Props) {
  const { t } = useTranslation('plan');
  const { isFixed } = useJob();
  const warnings = [
    ...answer.problem.warnings.map(({ where, message }) => `${where}: ${message}`),
    ...(ranked?.prediction.warnings ?? []),
    ...answer.notes,
  ];
  const groups = [
    { key: 'reasons', items: ranked?.reasons ?? [] },
    { key: 'binding', items: answer.binding.map(({ message }) => message) },
    { key: 'warnings', items: [...new Set(warnings)] },
    { key: 'assumed', items: ranked?.prediction.assumed ?? answer.problem.assumed.map(({ message }) => message) },
  ].filter(({ items }) => items.length > 0);
  return (
    <Accordion
      multiple
      variant="contained"
      classNames={{ item: classes.item ?? '', label: classes.label ?? '' }}
      defaultValue={isFixed ? groups.map(({ key }) => key) : ['reasons']}
      data-stale={isStale}
      chevronPosition="left"
    >
      {groups.map(({ key, items }) => (
        <Accordion.Item key={key} value={key}>
          <Accordion.Control>
            {t(`notes.${key}`)} <span style={{ color: 'var(--mantine-color-dimmed)' }}>{items.length}</span>
          </Accordion.Control>
          <Accordion.Panel>
            <List size="sm" spacing={4}>
              {items.map((item) => (
                <List.Item key={item}>
                  <Sentence>{item}</Sentence>
                </List.Item>
              ))}
            </List>
          </Accordion.Panel>
        </Accordion.Item>
      ))}
    </Accordion>
  );
}
