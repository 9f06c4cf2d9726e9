import { Group, Tooltip } from '@mantine/core';
import { Fragment } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat, useTerm } from '@/i18n/useLanguage';
import { MEMORY_PARTS } from '@/theme/palette';
import { Swatch } from '@/ui/Swatch';

import classes from './Strategy.module.css';

/** What the fullest rank of each stage holds, against what its GPU has. */
export function MemoryBars({ memory }: { memory: Schemas['Memory'] }) {
  const { t } = useTranslation('strategy');
  const format = useFormat();
  const term = useTerm();
  const most = Math.max(...memory.stages.flatMap((stage) => [stage.total_bytes, stage.capacity_bytes]));
  const percent = (bytes: number) => `${String((100 * bytes) / most)}%`;
  return (
    <>
      <div className={classes.bars} role="group" aria-label={t('memory.title')}>
        {memory.stages.map((stage, index) => (
          <Fragment key={`${String(stage.stage)}-${stage.zone}-${String(index)}`}>
            <span className={classes.label} title={stage.gpu}>
              {t('stage', { number: stage.stage })} <span className={classes.dim}>{stage.zone}</span>
            </span>
            <div className={classes.lane}>
              <div className={classes.capacity} style={{ width: percent(stage.capacity_bytes) }} />
              {parts(stage).map(({ name, meaning, start, bytes }) => (
                <Tooltip key={name} label={`${term('memory', name)}: ${format.field(name, bytes)}`}>
                  <div
                    className={classes.bar}
                    style={{ left: percent(start), width: percent(bytes), background: `var(--cz-${meaning})` }}
                  />
                </Tooltip>
              ))}
              <div
                className={classes.limit}
                style={{ left: `calc(${percent(stage.capacity_bytes)} - 2px)` }}
                aria-hidden
              />
            </div>
            <span
              className={classes.value}
              style={stage.total_bytes > stage.capacity_bytes ? { color: 'var(--cz-bad)' } : {}}
            >
              {t('memory.of', {
                used: format.field('total_bytes', stage.total_bytes),
                capacity: format.field('capacity_bytes', stage.capacity_bytes),
              })}
            </span>
          </Fragment>
        ))}
      </div>
      <Group gap="md" mt="sm" fz="xs">
        {MEMORY_PARTS.map(([name, meaning]) => (
          <span key={name}>
            <Swatch meaning={meaning} />
            {term('memory', name)}
          </span>
        ))}
      </Group>
    </>
  );
}

function parts(stage: Schemas['StageMemory']) {
  let end = 0;
  return MEMORY_PARTS.map(([name, meaning]) => {
    const start = end;
    end += stage[name];
    return { name, meaning, start, bytes: stage[name] };
  }).filter(({ bytes }) => bytes > 0);
}
