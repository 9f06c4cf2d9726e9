import { Group } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useTerm } from '@/i18n/useLanguage';
import { MEMORY_PARTS } from '@/theme/palette';

import classes from './MemoryPanel.module.css';
import { Panel } from './Panel';
import { StageBar, useMemoryReading } from './StageBar';
import { Swatch } from './Swatch';

/** What the fullest rank of each stage holds; the width is the largest memory or need of them all. */
export function MemoryPanel({ memory, isStale }: { memory: Schemas['Memory']; isStale: boolean }) {
  const { t } = useTranslation('ui');
  const reading = useMemoryReading();
  const widest = Math.max(...memory.stages.flatMap((stage) => [stage.total_bytes, stage.capacity_bytes]));
  return (
    <Panel title={t('memory.title')} aside={<Legend />} isStale={isStale}>
      <div className={classes.scroll} role="region" aria-label={t('memory.stages')} tabIndex={0}>
        <ol className={classes.stages}>
          {memory.stages.map((stage, index) => (
            <li
              key={`${String(stage.stage)} ${stage.zone} ${String(index)}`}
              className={classes.stage}
              data-over={stage.total_bytes > stage.capacity_bytes}
            >
              <span className={classes.name} title={`${stage.zone} · ${stage.gpu}`}>
                {t('memory.stage', { number: stage.stage })} <span className={classes.zone}>{stage.zone}</span>
              </span>
              <StageBar stage={stage} total={widest} />
              <span className={classes.total}>{reading(stage.total_bytes, stage.capacity_bytes)}</span>
            </li>
          ))}
        </ol>
      </div>
    </Panel>
  );
}

function Legend() {
  const term = useTerm();
  return (
    <Group gap="sm" fz="xs" c="dimmed">
      {MEMORY_PARTS.map(([name, meaning]) => (
        <span key={name}>
          <Swatch meaning={meaning} />
          {term('memory', name)}
        </span>
      ))}
    </Group>
  );
}
