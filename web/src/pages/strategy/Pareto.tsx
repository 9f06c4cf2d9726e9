import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat } from '@/i18n/useLanguage';
import { usePalette } from '@/theme/usePalette';
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
  const { palette } = usePalette();
  const [time, cost, risk] = axesOf(plans);
  const [across, up] = [time, cost ?? risk];
  const option = useMemo(
    () => ({
      grid: { left: 76, right: 24, top: 16, bottom: 44 },
      tooltip: {
        trigger: 'item' as const,
        formatter: ({ dataIndex }: { dataIndex: number }) => {
          const plan = plans[dataIndex];
          return plan == null ? '' : told(plan, [time, cost, risk], t, format.field);
        },
      },
      xAxis: { ...axis(t(`field.${across}`)), axisLabel: label(across, format.field) },
      yAxis: {
        ...axis(t(`field.${up}`)),
        nameLocation: 'middle' as const,
        nameGap: 60,
        axisLabel: label(up, format.field),
      },
      series: [
        {
          type: 'scatter' as const,
          data: plans.map((plan) => ({
            value: [plan[across], plan[up]],
            symbol: plan.rank === 1 ? 'diamond' : 'circle',
            itemStyle: { color: plan.rank === 1 ? palette.good : palette.compute, opacity: 0.9 },
          })),
          symbolSize: sizes(plans, cost == null ? null : risk),
        },
      ],
    }),
    [plans, across, up, time, cost, risk, t, format, palette],
  );
  return (
    <Panel title={t('pareto.title')}>
      <Chart
        label={t('pareto.label')}
        option={option as never}
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

function axis(name: string) {
  return {
    type: 'value' as const,
    scale: true,
    name,
    nameLocation: 'middle' as const,
    nameGap: 28,
    splitNumber: 4,
  };
}

function label(name: Field, field: Format) {
  return { formatter: (value: number) => field(name, value), hideOverlap: true };
}

/** The area of a mark grows with the risk. */
function sizes(plans: readonly ParetoPlan[], risk: Field | null) {
  if (risk == null) return 13;
  const most = Math.max(...plans.map((plan) => plan[risk] ?? 0), 1e-9);
  return (_: unknown, { dataIndex }: { dataIndex: number }) =>
    9 + 15 * Math.sqrt((plans[dataIndex]?.[risk] ?? 0) / most);
}

function told(plan: ParetoPlan, fields: readonly (Field | null)[], t: Translate, field: Format): string {
  const lines = fields.flatMap((name) => (name == null ? [] : [`${t(`field.${name}`)}: ${field(name, plan[name])}`]));
  return [degreesText(plan.plan), ...lines].join('<br>');
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
