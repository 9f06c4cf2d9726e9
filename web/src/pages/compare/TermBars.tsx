import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat, useTerm } from '@/i18n/useLanguage';
import { termMeaning } from '@/theme/palette';
import { usePalette } from '@/theme/usePalette';
import { Chart } from '@/ui/Chart';
import type { Column } from '@/ui/DataTable';
import { Quantity } from '@/ui/Quantity';

type SideBySide = Schemas['SideBySide'];

interface TermRow {
  name: string;
  values: (number | null)[];
}

const EXPOSED = /^terms\[(\w+)\]\.exposed_seconds$/;
const BAR_PIXELS = 34;

/** One step of each side on one axis of time, by what it is spent on. */
export function TermBars({ found }: { found: SideBySide }) {
  const { t } = useTranslation('compare');
  const term = useTerm();
  const terms = useMemo(() => termsOf(found), [found]);
  const option = useOption(found, terms);
  const name: Column<TermRow> = { key: 'name', title: t('columns.term'), value: (row) => term('term', row.name) };
  const sides = found.sides.map((side, index): Column<TermRow> => ({
    key: String(index),
    title: side.name,
    isNumber: true,
    value: (row) => row.values[index],
    cell: (row) => <Quantity name="exposed_seconds" value={row.values[index]} />,
  }));
  return (
    <Chart
      label={t('steps.label')}
      option={option}
      rows={terms}
      columns={[name, ...sides]}
      rowKey={(row) => row.name}
      height={88 + BAR_PIXELS * found.sides.length}
    />
  );
}

/** Terms that any side has, in the order of a step. */
function termsOf(found: SideBySide): TermRow[] {
  return found.rows.flatMap((row) => {
    const name = EXPOSED.exec(row.name)?.[1];
    const values = row.values.map((value) => (typeof value === 'number' ? value : null));
    return name == null || values.every((value) => value == null || value === 0) ? [] : [{ name, values }];
  });
}

function useOption(found: SideBySide, terms: readonly TermRow[]) {
  const term = useTerm();
  const format = useFormat();
  const { palette, scheme } = usePalette();
  return useMemo(() => {
    const ink = scheme === 'dark' ? '#c6ccd5' : '#3a424d';
    const written = (value: unknown) => format.field('exposed_seconds', value);
    return {
      grid: { left: 8, right: 24, top: 8, bottom: 44, containLabel: true },
      legend: { bottom: 0, type: 'scroll' as const, itemWidth: 10, itemHeight: 10, textStyle: { color: ink } },
      tooltip: { trigger: 'item' as const, confine: true, valueFormatter: written },
      xAxis: { type: 'value' as const, axisLabel: { formatter: written } },
      yAxis: {
        type: 'category' as const,
        inverse: true,
        data: found.sides.map((side) => side.name),
        axisLabel: { color: ink, width: 160, overflow: 'truncate' as const },
      },
      series: terms.map(({ name, values }) => ({
        type: 'bar' as const,
        name: term('term', name),
        stack: 'step',
        barMaxWidth: 22,
        itemStyle: { color: palette[termMeaning(name)] },
        data: values,
      })),
    };
  }, [found, terms, palette, scheme, term, format]);
}
