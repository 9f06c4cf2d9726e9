import { Button } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useTerm } from '@/i18n/useLanguage';
import { AXES, degrees } from '@/job/degrees';
import { useJob } from '@/job/JobContext';
import type { RankedPlan } from '@/job/useAnswer';
import { DataTable, type Column } from '@/ui/DataTable';
import { Panel } from '@/ui/Panel';
import { Quantity } from '@/ui/Quantity';

/** What fixing a plan writes into the job. */
const FIXED = [
  ...AXES,
  ...(['dp_shard', 'num_virtual_stages', 'microbatch_size', 'schedule', 'shard', 'recompute', 'offload'] as const),
];

/** The best plans; the chosen one is shown above. */
export function RankedPlans({ answer, isStale }: { answer: Schemas['Answer']; isStale: boolean }) {
  const { t } = useTranslation('plan');
  const term = useTerm();
  const { job, chosenPlan, choosePlan, setValue } = useJob();
  const rank = (ranked: RankedPlan) => answer.plans.indexOf(ranked);
  const number = (name: string, value: (ranked: RankedPlan) => number | null): Column<RankedPlan> => ({
    key: name,
    title: term('field', name),
    isNumber: true,
    value,
    cell: (ranked) => <Quantity name={name} value={value(ranked)} />,
  });
  const columns: Column<RankedPlan>[] = [
    { key: 'rank', title: t('plans.rank'), isNumber: true, value: (ranked) => rank(ranked) + 1 },
    { key: 'degrees', title: t('plans.degrees'), value: ({ plan }) => degrees(plan) },
    { key: 'framework', title: t('plans.framework'), value: ({ plan }) => plan.framework },
    { key: 'schedule', title: t('plans.schedule'), value: ({ plan }) => (plan.pp > 1 ? plan.schedule : '–') },
    number('step_seconds', ({ prediction }) => prediction.step_seconds),
    number('mfu', ({ prediction }) => prediction.mfu),
    number('peak_bytes', ({ prediction }) => prediction.memory.peak_bytes),
  ];
  const chosen = answer.plans[chosenPlan];
  const isFixed = job['plan'] != null;
  const aside = (
    <Button
      variant="subtle"
      size="compact-xs"
      onClick={() => {
        setValue(['plan'], isFixed || chosen == null ? undefined : fixedKeys(chosen.plan));
      }}
    >
      {t(isFixed ? 'plans.free' : 'plans.fix')}
    </Button>
  );
  return (
    <Panel title={t('plans.title')} aside={aside} isStale={isStale}>
      <DataTable
        label={t('plans.title')}
        rows={answer.plans}
        columns={columns}
        rowKey={(ranked) => ranked.prediction.fingerprint + String(rank(ranked))}
        isChosen={(ranked) => rank(ranked) === chosenPlan}
        onChoose={(ranked) => {
          choosePlan(rank(ranked));
        }}
      />
    </Panel>
  );
}

function fixedKeys(plan: Schemas['Plan']): Record<string, unknown> {
  const isAlike = plan.replicas.every((replica) => replica.own == null);
  const fixed = Object.fromEntries(FIXED.filter((key) => plan[key] != null).map((key) => [key, plan[key]]));
  return isAlike ? fixed : { ...fixed, sync: syncKeys(plan.sync), replicas: plan.replicas.map(replicaKeys) };
}

function syncKeys({ method, every, codecs }: Schemas['Sync']): Record<string, unknown> {
  return { method, every, ...(Object.keys(codecs).length > 0 ? { codecs } : {}) };
}

function replicaKeys({ zones, num_replicas, num_microbatches, own }: Schemas['Replica']): Record<string, unknown> {
  return { zones, num_replicas, num_microbatches, ...(own == null ? {} : { own: withoutNull(own) }) };
}

function withoutNull(fields: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value != null));
}
