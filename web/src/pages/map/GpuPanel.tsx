import { Text } from '@mantine/core';
import { Fragment } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat, useTerm } from '@/i18n/useLanguage';
import { MEMORY_PARTS } from '@/theme/palette';
import { Panel } from '@/ui/Panel';
import { Quantity } from '@/ui/Quantity';
import { StageBar } from '@/ui/StageBar';
import { Swatch } from '@/ui/Swatch';

import classes from './LinkPanel.module.css';
import { AXES, type Gpu } from './ranks';

interface Props {
  gpu: Gpu | undefined;
  prediction: Schemas['Prediction'] | undefined;
  isStale: boolean;
}

/** One GPU: its rank, its place along each axis, and what its stage holds in memory. */
export function GpuPanel({ gpu, prediction, isStale }: Props) {
  const { t } = useTranslation('map');
  const term = useTerm();
  const format = useFormat();
  if (gpu?.rank == null) {
    return (
      <Panel title={t('gpu.title')}>
        <Text size="sm" c="dimmed">
          {t(gpu == null ? 'gpu.none' : 'gpu.idleWhy')}
        </Text>
      </Panel>
    );
  }
  const stage = prediction?.memory.stages.find((each) => each.stage === gpu.pp);
  return (
    <Panel title={t('gpu.rank', { rank: gpu.rank })} isStale={isStale}>
      <dl className={classes.numbers} style={{ marginTop: 0, paddingTop: 0, border: 0 }} data-testid="gpu">
        {AXES.map((axis) => (
          <Fragment key={axis}>
            <dt>
              <Swatch meaning={axis} />
              {term('meaning', axis)}
            </dt>
            <dd>
              <data value={String(gpu[axis])}>{gpu[axis]}</data>
            </dd>
          </Fragment>
        ))}
        {stage != null && (
          <>
            <dt className={classes.way}>{t('gpu.stage', { stage: stage.stage, layers: stage.num_layers })}</dt>
            {MEMORY_PARTS.map(([name, meaning]) => (
              <Fragment key={name}>
                <dt>
                  <Swatch meaning={meaning} />
                  {term('memory', name)}
                </dt>
                <dd>
                  <Quantity name={name} value={stage[name]} />
                </dd>
              </Fragment>
            ))}
          </>
        )}
      </dl>
      {stage != null && (
        <div style={{ marginTop: 10 }}>
          <StageBar stage={stage} total={Math.max(stage.total_bytes, stage.capacity_bytes)} />
          <Text size="xs" c="dimmed" mt={4}>
            {t('gpu.of', {
              total: format.field('total_bytes', stage.total_bytes),
              capacity: format.field('capacity_bytes', stage.capacity_bytes),
            })}
          </Text>
        </div>
      )}
      <Text size="xs" c="dimmed" mt="sm">
        {t('gpu.groups')}
      </Text>
    </Panel>
  );
}
