import { Group, Text } from '@mantine/core';
import { Fragment } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';

import classes from './Strategy.module.css';

type Plan = Schemas['Plan'];
type Replica = Schemas['Replica'];

const MOST_GPUS = 32; // that a cell draws one by one

/** How a plan cuts the work: layers into stages to the right, the batch into replicas downwards, a stage into GPUs. */
export function Slicing({ plan }: { plan: Plan }) {
  const { t } = useTranslation('strategy');
  const { stages, replicas } = plan;
  const differ = replicas.some((replica) => replica.own != null);
  const columns = { gridTemplateColumns: `max-content repeat(${String(stages.length)}, minmax(62px, 1fr))` };
  return (
    <>
      <div className={classes.tableScroll} role="region" aria-label={t('slicing.title')} tabIndex={0}>
        <div className={classes.slices} style={columns} role="img" aria-label={t('slicing.label', counts(plan))}>
          {replicas.map((replica, row) => (
            <Fragment key={row}>
              <span className={classes.axis} />
              {runs(replica).map(({ zone, start, length }) => (
                <span
                  key={start}
                  className={classes.zoneHead}
                  style={{ gridColumn: `span ${String(length)}` }}
                  title={zone}
                >
                  {zone}
                </span>
              ))}
              <span className={classes.axis} style={{ alignSelf: 'center' }}>
                <span style={{ color: 'var(--cz-dp)', fontWeight: 600 }}>{t('slicing.dp')}</span>{' '}
                {t('slicing.times', { count: replica.num_replicas })}
                <br />
                {t('slicing.microbatches', { count: replica.num_microbatches })}
                {differ && (
                  <>
                    <br />
                    {t('slicing.own', ownWords(replica.own ?? planDegrees(plan)))}
                  </>
                )}
              </span>
              {stages.map((stage, index) => (
                <div
                  key={index}
                  className={`${classes.slice ?? ''} ${isCrossing(replica, index) ? (classes.crossing ?? '') : ''}`}
                >
                  <Gpus tp={stage.tp} cp={plan.cp} />
                </div>
              ))}
            </Fragment>
          ))}
          <span className={classes.axis}>
            <span style={{ color: 'var(--cz-pp)', fontWeight: 600 }}>{t('slicing.pp')}</span> {t('slicing.layers')}
          </span>
          {stages.map((stage, index) => (
            <span key={index} className={classes.axis} style={{ textAlign: 'center' }}>
              {t('slicing.range', { first: stage.first_layer, count: stage.num_layers })}
            </span>
          ))}
        </div>
      </div>
      <Group gap="md" mt="sm" fz="xs" c="dimmed">
        <Text fz="xs">{t('slicing.cell', { tp: plan.tp, cp: plan.cp })}</Text>
        {plan.zone_axis?.includes('pp') === true && (
          <span>
            <span aria-hidden style={{ borderLeft: '2px dashed var(--cz-zone)', marginRight: 6 }} />
            {t('slicing.crossing')}
          </span>
        )}
        {plan.num_virtual_stages > 1 && <span>{t('slicing.virtual', { count: plan.num_virtual_stages })}</span>}
      </Group>
    </>
  );
}

function Gpus({ tp, cp }: { tp: number; cp: number }) {
  if (tp * cp > MOST_GPUS) return <span className={classes.axis}>{`${String(tp)} × ${String(cp)}`}</span>;
  return (
    <div style={{ display: 'grid', gridTemplateColumns: `repeat(${String(tp)}, 8px)`, gap: 2 }}>
      {Array.from({ length: tp * cp }, (_, index) => (
        <span
          key={index}
          className={classes.gpu}
          style={{ background: Math.floor(index / tp) % 2 === 0 ? 'var(--cz-tp)' : 'var(--cz-cp)' }}
        />
      ))}
    </div>
  );
}

/** Neighbouring stages of one zone, together. */
function runs({ zones }: Replica) {
  const found: { zone: string; start: number; length: number }[] = [];
  zones.forEach((zone, start) => {
    const last = found.at(-1);
    if (last?.zone === zone) last.length += 1;
    else found.push({ zone, start, length: 1 });
  });
  return found;
}

function isCrossing({ zones }: Replica, stage: number): boolean {
  return stage > 0 && zones[stage] !== zones[stage - 1];
}

function planDegrees({ microbatch_size, dp_shard, shard, recompute, stages }: Plan): Schemas['OwnDegrees'] {
  return { microbatch_size, dp_shard, shard, recompute, recompute_layers: stages[0]?.recompute_layers ?? null };
}

/** How the replicas of one zone work off their batch. */
function ownWords({ microbatch_size, shard, dp_shard, recompute, recompute_layers }: Schemas['OwnDegrees']) {
  const layers = recompute_layers == null ? '' : ` × ${String(recompute_layers)}`;
  return { size: microbatch_size, shard, ranks: dp_shard, recompute: recompute + layers };
}

function counts(plan: Plan) {
  return { stages: plan.stages.length, dp: plan.dp, tp: plan.tp, cp: plan.cp };
}
