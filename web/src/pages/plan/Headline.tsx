import { Text } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { useFormat, useTerm } from '@/i18n/useLanguage';
import type { RankedPlan } from '@/job/useAnswer';
import { Quantity } from '@/ui/Quantity';

import classes from './Headline.module.css';

/** The numbers that a plan is judged by. */
export function Headline({ ranked, isStale }: { ranked: RankedPlan; isStale: boolean }) {
  const { t } = useTranslation('plan');
  const format = useFormat();
  const term = useTerm();
  const { prediction } = ranked;
  const { memory, costs, finish } = prediction;
  const interval = prediction.intervals.at(-1);
  return (
    <dl className={classes.tiles} data-stale={isStale} data-testid="headline">
      <Tile name="step_seconds" value={prediction.step_seconds}>
        {interval != null &&
          t('headline.interval', {
            level: format.field('level_fraction', interval.level),
            low: format.field('low_seconds', interval.low_seconds),
            high: format.field('high_seconds', interval.high_seconds),
          })}
      </Tile>
      <Tile name="tokens_per_second" value={prediction.tokens_per_second}>
        {t('headline.perGpu', {
          rate: format.field('tokens_per_second_per_gpu', prediction.tokens_per_second_per_gpu),
          gpus: prediction.num_gpus,
        })}
      </Tile>
      <Tile name="mfu" value={prediction.mfu}>
        {t('headline.exposed', { share: format.field('fraction', prediction.exposed_communication_fraction) })}
      </Tile>
      <Tile name="peak_bytes" value={memory.peak_bytes}>
        <span data-verdict={memory.verdict}>{term('verdict', memory.verdict)}</span>{' '}
        {t('headline.capacity', { capacity: format.field('capacity_bytes', memory.capacity_bytes) })}
      </Tile>
      <Tile name="train_seconds" value={finish.p50_seconds ?? prediction.train_seconds}>
        {finish.p90_seconds != null && t('headline.p90', { time: format.field('p90_seconds', finish.p90_seconds) })}
      </Tile>
      <Tile name="total_dollars" value={costs?.total_dollars ?? null}>
        {t('headline.egress', { cost: format.field('egress_dollars', prediction.egress_dollars) })}
      </Tile>
    </dl>
  );
}

function Tile({ name, value, children }: { name: string; value: number | null; children: ReactNode }) {
  const term = useTerm();
  return (
    <div className={classes.tile}>
      <dt>{term('field', name)}</dt>
      <dd className={classes.value} data-field={name}>
        <Quantity name={name} value={value} />
      </dd>
      <Text component="dd" size="xs" c="dimmed" className={classes.note}>
        {children}
      </Text>
    </div>
  );
}
