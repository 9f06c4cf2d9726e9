import { useTranslation } from 'react-i18next';

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

/** Of the axes, around the points: a factor. */
const MARGIN = 1.2;

/** Predicted over measured seconds per step, both logarithmic; on the line they are equal. */
export function Scatter({ points, source = null, height = 380 }: Props) {
  const { t } = useTranslation('validation');
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
  const isShown = (point: Point) => source == null || point.source === source;
  const shown = points.filter(isShown);
  const all = points.flatMap(({ measured, predicted }) => [measured, predicted]);
  const [least, most] = [Math.min(...all) / MARGIN, Math.max(...all) * MARGIN];
  const axis = { name: 'step_seconds', isLog: true, domain: [least, most] } as const;
  const marks = { as: 'points', meaning: 'bubble', radius: () => 2.25 } as const;
  const others = points.filter((point) => !isShown(point));
  return (
    <Chart
      label={t('scatter.label')}
      x={{ ...axis, title: t('columns.measured'), value: ({ measured }) => measured }}
      y={{ ...axis, title: t('columns.predicted'), value: ({ predicted }) => predicted }}
      series={[
        ...(source == null
          ? []
          : [{ ...marks, key: 'others', title: t('scatter.others'), rows: others, isFaint: true }]),
        {
          ...marks,
          key: 'shown',
          title: t(source == null ? 'scatter.runs' : 'scatter.chosen'),
          rows: shown,
          meaning: 'compute',
        },
      ]}
      guides={[{ title: t('scatter.equal'), from: [least, least], to: [most, most] }]}
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
