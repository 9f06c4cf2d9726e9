import { ActionIcon, Group, Tooltip } from '@mantine/core';
import { ChartColumn, Table2 } from 'lucide-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { DataTable, type Column } from './DataTable';
import { Plot } from './Plot';
import type { Content } from './plotLook';

interface Props<Row> extends Content<Row> {
  /** What the chart shows, in a sentence: all that who cannot see it is told besides the table. */
  label: string;
  /** The same data as a table, whose columns also say what is told of a point. */
  rows: readonly Row[];
  columns: readonly Column<Row>[];
  rowKey: (row: Row) => string;
  height?: number;
}

/** A chart and the table behind it, which a button shows in its place. */
export function Chart<Row>({ label, rows, columns, rowKey, height = 260, ...content }: Props<Row>) {
  const { t } = useTranslation('ui');
  const [isTable, setIsTable] = useState(false);
  const other = t(isTable ? 'chart.asChart' : 'chart.asTable');
  return (
    <figure style={{ margin: 0 }} aria-label={label}>
      <Group justify="flex-end" h={0}>
        <Tooltip label={other}>
          <ActionIcon
            variant="subtle"
            color="gray"
            size="sm"
            style={{ zIndex: 2, transform: 'translateY(-18px)' }}
            aria-label={other}
            aria-pressed={isTable}
            onClick={() => {
              setIsTable(!isTable);
            }}
          >
            {isTable ? <ChartColumn size={14} /> : <Table2 size={14} />}
          </ActionIcon>
        </Tooltip>
      </Group>
      {isTable ? (
        <DataTable label={label} rows={rows} columns={columns} rowKey={rowKey} maxHeight={`${String(height)}px`} />
      ) : (
        <Plot label={label} columns={columns} height={height} {...content} />
      )}
    </figure>
  );
}
