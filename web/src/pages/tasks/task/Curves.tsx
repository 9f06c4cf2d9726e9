import { useQuery } from '@tanstack/react-query';
import type { EChartsOption } from 'echarts';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat, useTerm } from '@/i18n/useLanguage';
import { usePalette } from '@/theme/usePalette';
import { Chart } from '@/ui/Chart';
import { Panel } from '@/ui/Panel';

import { FINAL_STATES, taskQueries, type Task } from '../queries';
import classes from './TaskView.module.css';

type Sample = Schemas['TaskSamples']['samples'][number];

/** Loss and throughput by step, as the lowest rank tells them. */
export function Curves({ task, number }: { task: Task; number: number }) {
  const { palette } = usePalette();
  const predicted = task.prediction?.tokens_per_second;
  return (
    <div className={classes.charts}>
      <Curve task={task} number={number} name="loss" colour={palette.dp} />
      <Curve task={task} number={number} name="tokens_per_second" colour={palette.compute} level={predicted} />
    </div>
  );
}

interface CurveProps {
  task: Task;
  number: number;
  name: string;
  colour: string;
  /** What was predicted, as a line across. */
  level?: number | undefined;
}

function Curve({ task, number, name, colour, level }: CurveProps) {
  const { t } = useTranslation('tasks');
  const term = useTerm();
  const format = useFormat();
  const isOver = FINAL_STATES.includes(task.state);
  const { data } = useQuery({
    ...taskQueries.samples(task.id, number, name),
    refetchInterval: isOver ? false : 5000,
  });
  const samples = data?.samples ?? [];
  if (samples.length === 0) return null;
  const write = (value: unknown) => format.field(name, value);
  const option: EChartsOption = {
    grid: { left: 8, right: 16, top: 12, bottom: 8, containLabel: true },
    xAxis: {
      type: 'value',
      min: 'dataMin',
      max: 'dataMax',
      name: t('curves.step'),
      nameLocation: 'middle',
      nameGap: 24,
    },
    yAxis: { type: 'value', scale: true, axisLabel: { formatter: (value: number) => write(value) } },
    tooltip: { trigger: 'axis', valueFormatter: (value) => write(value) },
    series: [
      {
        type: 'line',
        name: term('field', name),
        data: samples.map(({ step, value }) => [step, value]),
        showSymbol: samples.length === 1,
        itemStyle: { color: colour },
        lineStyle: { width: 1.5 },
        ...(level == null || name === 'loss'
          ? {}
          : {
              markLine: {
                symbol: 'none',
                label: { formatter: t('curves.predicted'), position: 'insideEndTop' },
                data: [{ yAxis: level }],
              },
            }),
      },
    ],
  };
  return (
    <Panel title={term('field', name)}>
      <Chart<Sample>
        label={t('curves.label', { name: term('field', name) })}
        option={option}
        rows={samples}
        rowKey={({ step, rank }) => `${String(step)} ${String(rank)}`}
        columns={[
          { key: 'step', title: t('curves.step'), isNumber: true, value: ({ step }) => step },
          {
            key: 'value',
            title: term('field', name),
            isNumber: true,
            value: ({ value }) => value,
            cell: ({ value }) => write(value),
          },
        ]}
      />
    </Panel>
  );
}
