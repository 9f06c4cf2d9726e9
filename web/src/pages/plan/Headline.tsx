import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { useFormat, useTerm } from '@/i18n/useLanguage';
import type { RankedPlan } from '@/job/useAnswer';
import { Quantity } from '@/ui/Quantity';
import { Tile, Tiles } from '@/ui/Tiles';
import { Verdict } from '@/ui/Verdict';

import classes from './Headline.module.css';

/** The numbers that a plan is judged by. */
export function Headline({ ranked, isStale }: { ranked: RankedPlan; isStale: boolean }) {
  const { t } = useTranslation('plan');
  const format = useFormat();
  const { prediction } = ranked;
  const { memory, costs, finish } = prediction;
  const interval = prediction.intervals.at(-1);
  return (
    <Tiles className={classes.tiles} isStale={isStale} testId="headline">
      <Figure name="step_seconds" value={prediction.step_seconds}>
        {interval != null &&
          t('headline.interval', {
            level: format.field('level_fraction', interval.level),
            low: format.field('low_seconds', interval.low_seconds),
            high: format.field('high_seconds', interval.high_seconds),
          })}
      </Figure>
      <Figure name="tokens_per_second" value={prediction.tokens_per_second}>
        {t('headline.perGpu', {
          rate: format.field('tokens_per_second_per_gpu', prediction.tokens_per_second_per_gpu),
          gpus: prediction.num_gpus,
        })}
      </Figure>
      <Figure name="mfu" value={prediction.mfu}>
        {t('headline.exposed', { share: format.field('fraction', prediction.exposed_communication_fraction) })}
      </Figure>
      <Figure name="peak_bytes" value={memory.peak_bytes}>
        <Verdict value={memory.verdict} />{' '}
        {t('headline.capacity', { capacity: format.field('capacity_bytes', memory.capacity_bytes) })}
      </Figure>
      <Figure name="train_seconds" value={prediction.train_seconds}>
        {finish.p50_seconds != null &&
          t('headline.finish', {
            time: format.field('p50_seconds', finish.p50_seconds),
            late: format.field('p90_seconds', finish.p90_seconds),
          })}
      </Figure>
      <Figure name="total_dollars" value={costs?.total_dollars ?? null}>
        {t('headline.egress', { cost: format.field('egress_dollars', prediction.egress_dollars) })}
      </Figure>
    </Tiles>
  );
}

function Figure({ name, value, children }: { name: string; value: number | null; children: ReactNode }) {
  const term = useTerm();
  return (
    <Tile label={term('field', name)} field={name} note={children}>
      <Quantity name={name} value={value} />
    </Tile>
  );
}
