import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import { useFormat } from '@/i18n/useLanguage';
import { usePalette } from '@/theme/usePalette';
import { Chart } from '@/ui/Chart';
import type { Column } from '@/ui/DataTable';
import { Quantity } from '@/ui/Quantity';

export interface Point {
  id: string;
  source: string;
  gpu: string;
  measured: number;
  predicted: number;
  relative_error: number | null;
}

interface Props {
  points: readonly Point[];
  /** The source whose points stand out; null: all alike. */
  source?: string | null;
  height?: number;
}

/** Predicted over measured seconds per step, both logarithmic; on the line they are equal. */
export function Scatter({ points, source = null, height = 380 }: Props) {
  const { t } = useTranslation('validation');
  const option = useOption(points, source);
  const columns: Column<Point>[] = [
    { key: 'id', title: t('columns.run'), value: ({ id }) => id },
    { key: 'gpu', title: t('columns.gpu'), value: ({ gpu }) => gpu },
    seconds('measured', t('columns.measured')),
    seconds('predicted', t('columns.predicted')),
    {
      key: 'error',
      title: t('columns.error'),
      isNumber: true,
      value: ({ relative_error }) => relative_error,
      cell: ({ relative_error }) => <Quantity name="error_fraction" value={relative_error} isChange />,
    },
  ];
  const shown = source == null ? points : points.filter((point) => point.source === source);
  return (
    <Chart
      label={t('scatter.label')}
      option={option}
      rows={shown}
      columns={columns}
      rowKey={({ id }) => id}
      height={height}
    />
  );
}

function seconds(name: 'measured' | 'predicted', title: string): Column<Point> {
  return {
    key: name,
    title,
    isNumber: true,
    value: (point) => point[name],
    cell: (point) => <Quantity name={`${name}_seconds`} value={point[name]} />,
  };
}

function useOption(points: readonly Point[], source: string | null) {
  const { t } = useTranslation('validation');
  const format = useFormat();
  const { palette, scheme } = usePalette();
  return useMemo(() => {
    const all = points.flatMap(({ measured, predicted }) => [measured, predicted]);
    const [least, most] = [Math.min(...all), Math.max(...all)];
    const line = scheme === 'dark' ? '#2b323e' : '#e4e7ec';
    const axis = (name: string) => ({
      type: 'log' as const,
      name,
      nameLocation: 'middle' as const,
      min: least,
      max: most,
      splitLine: { lineStyle: { color: line } },
      axisLabel: {
        formatter: (value: number) => format.field('step_seconds', value),
        hideOverlap: true,
        showMinLabel: false,
        showMaxLabel: false,
      },
    });
    const dots = (isChosen: boolean) => ({
      type: 'scatter' as const,
      symbolSize: isChosen ? 5 : 4,
      z: isChosen ? 3 : 2,
      itemStyle: { color: isChosen ? palette.compute : palette.bubble, opacity: isChosen ? 0.7 : 0.35 },
      data: points
        .filter((point) => (source == null || point.source === source) === isChosen)
        .map((point) => ({ name: point.id, value: [point.measured, point.predicted] })),
    });
    const equal = { name: '', coord: [least, least] };
    return {
      animation: false,
      grid: { left: 64, right: 16, top: 12, bottom: 44 },
      tooltip: {
        confine: true,
        formatter: (hit: unknown) => {
          const { name, value } = hit as { name: string; value: [number, number] };
          const [measured, predicted] = value.map((each) => format.field('step_seconds', each));
          return t('scatter.point', { name, measured, predicted });
        },
      },
      xAxis: { ...axis(t('columns.measured')), nameGap: 28 },
      yAxis: { ...axis(t('columns.predicted')), nameGap: 48 },
      series: [
        dots(false),
        {
          ...dots(true),
          markLine: {
            silent: true,
            symbol: 'none',
            lineStyle: { color: palette.optimizer, type: 'dashed' as const },
            label: { show: false },
            data: [[equal, { coord: [most, most] }] as [object, object]],
          },
        },
      ],
    };
  }, [points, source, palette, scheme, format, t]);
}
