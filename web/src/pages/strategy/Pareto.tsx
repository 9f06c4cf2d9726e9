import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat } from '@/i18n/useLanguage';
import { Chart } from '@/ui/Chart';
import type { Column } from '@/ui/DataTable';
import { Panel } from '@/ui/Panel';

import { Degrees, WordList } from './PlanWords';

type ParetoPlan = Schemas['ParetoPlan'];
type Field =
  'p50_seconds' | 'step_seconds' | 'total_dollars' | 'step_dollars' | 'expected_num_failures' | 'mtbf_seconds';

/** Plans that no other beats in time, cost and risk at once. */
export function Pareto({ plans, notes }: { plans: readonly ParetoPlan[]; notes: readonly string[] }) {
  const { t } = useTranslation('strategy');
  const format = useFormat();
  const [time, cost, risk] = axesOf(plans);
  const up = cost ?? risk;
  const axis = (name: Field) => ({ name, title: t(`field.${name}`), value: (plan: ParetoPlan) => plan[name] });
  const points = { as: 'points', radius: radii(plans, cost == null ? null : risk) } as const;
  return (
    <Panel title={t('pareto.title')}>
      <Chart
        label={t('pareto.label')}
        x={axis(time)}
        y={axis(up)}
        series={[
          { key: 'front', title: t('pareto.front'), meaning: 'optimizer', as: 'steps', rows: front(plans, time, up) },
          { ...points, key: 'others', title: t('pareto.others'), meaning: 'compute', rows: plans.filter(isOther) },
          {
            ...points,
            key: 'chosen',
            title: t('pareto.chosen'),
            meaning: 'good',
            rows: plans.filter(isChosen),
            isDiamond: true,
          },
        ]}
        rows={plans}
        columns={columns([time, ...(cost == null ? [] : [cost]), risk], t, format.field)}
        rowKey={(plan) => String(plans.indexOf(plan))}
      />
      <WordList items={[...(plans.length === 1 ? [] : plans.map((plan) => plan.reason)), ...notes]} />
    </Panel>
  );
}

/** Time, cost and risk as far as they are known; without prices the front is one of time and risk. */
function axesOf(plans: readonly ParetoPlan[]): readonly [Field, Field | null, Field] {
  const isKnown = (field: Field) => plans.every((plan) => plan[field] != null);
  const time = isKnown('p50_seconds') ? 'p50_seconds' : 'step_seconds';
  const cost = isKnown('total_dollars') ? 'total_dollars' : isKnown('step_dollars') ? 'step_dollars' : null;
  return [time, cost, isKnown('expected_num_failures') ? 'expected_num_failures' : 'mtbf_seconds'];
}

type Format = (name: string, value: unknown) => string;
type Translate = (key: string) => string;

function isChosen({ rank }: ParetoPlan): boolean {
  return rank === 1;
}

function isOther({ rank }: ParetoPlan): boolean {
  return rank !== 1;
}

/** The plans that no other beats in the two axes that are drawn, from the fastest on. */
export function front(plans: readonly ParetoPlan[], time: Field, up: Field): readonly ParetoPlan[] {
  const sign = up === 'mtbf_seconds' ? -1 : 1; // the one of which more is better
  let best = Infinity;
  return [...plans]
    .sort((one, other) => Number(one[time]) - Number(other[time]) || sign * (Number(one[up]) - Number(other[up])))
    .filter((plan) => {
      const value = sign * Number(plan[up]);
      const isBetter = value < best;
      if (isBetter) best = value;
      return isBetter;
    });
}

/** The area of a mark grows with the risk. */
function radii(plans: readonly ParetoPlan[], risk: Field | null) {
  const most = Math.max(...plans.map((plan) => (risk == null ? 0 : (plan[risk] ?? 0))), 1e-9);
  return (plan: ParetoPlan) => (risk == null ? 5 : 4 + 6 * Math.sqrt((plan[risk] ?? 0) / most));
}

function degreesText(plan: Schemas['Plan']): string {
  return (['tp', 'cp', 'ep', 'pp', 'dp'] as const).map((name) => `${name} ${String(plan[name])}`).join(' · ');
}

function columns(fields: readonly Field[], t: Translate, field: Format): Column<ParetoPlan>[] {
  return [
    {
      key: 'plan',
      title: t('ranked.plan'),
      value: (plan) => degreesText(plan.plan),
      cell: (plan) => <Degrees plan={plan.plan} />,
    },
    ...fields.map((name) => ({
      key: name,
      title: t(`field.${name}`),
      value: (plan: ParetoPlan) => plan[name],
      cell: (plan: ParetoPlan) => field(name, plan[name]),
      isNumber: true,
    })),
  ];
}
