import { Group } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat, useTerm } from '@/i18n/useLanguage';
import { MEMORY_PARTS } from '@/theme/palette';
import { Panel } from '@/ui/Panel';
import { StackedBar } from '@/ui/StackedBar';
import { Swatch } from '@/ui/Swatch';

import classes from './MemoryPanel.module.css';

/** What the fullest rank of each stage holds, against the memory of its GPU, which is the whole width. */
export function MemoryPanel({ memory, isStale }: { memory: Schemas['Memory']; isStale: boolean }) {
  const { t } = useTranslation('plan');
  const term = useTerm();
  const format = useFormat();
  const widest = Math.max(...memory.stages.flatMap((stage) => [stage.total_bytes, stage.capacity_bytes]));
  const legend = (
    <Group gap="sm" fz="xs" c="dimmed">
      {MEMORY_PARTS.map(([name, meaning]) => (
        <span key={name}>
          <Swatch meaning={meaning} />
          {term('memory', name)}
        </span>
      ))}
    </Group>
  );
  return (
    <Panel title={t('memory.title')} aside={legend} isStale={isStale}>
      <ol className={classes.stages}>
        {memory.stages.map((stage) => {
          const parts = MEMORY_PARTS.map(([name, meaning]) => ({
            ...{ key: name, label: term('memory', name), meaning, value: stage[name] },
          }));
          const text = t('memory.of', {
            total: format.field('total_bytes', stage.total_bytes),
            capacity: format.field('capacity_bytes', stage.capacity_bytes),
          });
          return (
            <li key={stage.stage} className={classes.stage} data-over={stage.total_bytes > stage.capacity_bytes}>
              <span className={classes.name} title={stage.zone}>
                {t('memory.stage', { number: stage.stage })} <span className={classes.zone}>{stage.zone}</span>
              </span>
              <StackedBar label={text} name="total_bytes" parts={parts} total={widest} height={14} />
              <span className={classes.total}>{text}</span>
            </li>
          );
        })}
      </ol>
    </Panel>
  );
}
