import { Text, Title } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat } from '@/i18n/useLanguage';
import { DataTable, type Column } from '@/ui/DataTable';
import { Quantity } from '@/ui/Quantity';

import { Scatter, type Point } from './Scatter';
import { Tiles, type TileOf } from './Tiles';
import type { Validation } from './useValidation';
import classes from './ValidationPage.module.css';

type Row = Schemas['ValidatedRow'];

interface Summary {
  num_rows: number;
  num_table_rows: number;
  num_skipped: number;
  mape?: number | null;
  median_ape?: number | null;
  bias?: number | null;
  interval_coverage_fraction?: number | null;
}

/** How near predictions were to the runs of a table. */
export function OwnResult({ validation }: { validation: Validation }) {
  const { t } = useTranslation('validation');
  const { rows, skipped, warnings } = validation;
  const steps = rows.filter(isTimed);
  return (
    <div className={classes.result} data-testid="own-result">
      <Tiles tiles={useTiles(validation.summary as unknown as Summary)} />
      {warnings.map((warning) => (
        <Text key={warning} size="sm">
          {warning}
        </Text>
      ))}
      <div className={classes.split}>
        <Rows rows={rows} />
        {steps.length > 0 && <Scatter points={steps} />}
      </div>
      {skipped.length > 0 && (
        <section>
          <Title order={3} mt="sm" mb={4}>
            {t('own.skipped', { count: skipped.length })}
          </Title>
          <ul className={classes.skipped}>
            {skipped.map(({ id, reason }) => (
              <li key={id + reason}>
                <code>{id}</code> <span>{reason}</span>
              </li>
            ))}
          </ul>
        </section>
      )}
    </div>
  );
}

function isTimed(row: Row): row is Row & Point {
  return row.quantity === 'step_seconds' && typeof row.measured === 'number' && typeof row.predicted === 'number';
}

function useTiles(summary: Summary): TileOf[] {
  const { t } = useTranslation('validation');
  const format = useFormat();
  const { num_rows, num_table_rows, num_skipped, mape, median_ape, bias, interval_coverage_fraction } = summary;
  return [
    {
      name: 'median_ape_fraction',
      label: t('tiles.median'),
      value: median_ape,
      note: t('tiles.mean', { error: format.field('fraction', mape) }),
    },
    { name: 'bias_fraction', label: t('tiles.bias'), value: bias, note: t('tiles.biasNote'), isChange: true },
    {
      name: 'interval_coverage_fraction',
      label: t('tiles.coverage'),
      value: interval_coverage_fraction,
      note: t('tiles.coverageNote'),
    },
    {
      name: 'num_rows',
      label: t('tiles.runs'),
      value: num_rows,
      note: t('own.of', { rows: num_table_rows, skipped: num_skipped }),
    },
  ];
}

function Rows({ rows }: { rows: readonly Row[] }) {
  const { t } = useTranslation('validation');
  const format = useFormat();
  const amount = (name: 'measured' | 'predicted', title: string): Column<Row> => ({
    key: name,
    title,
    isNumber: true,
    value: (row) => row[name],
    cell: (row) => format.field(row.quantity, row[name]),
  });
  const columns: Column<Row>[] = [
    { key: 'id', title: t('columns.run'), value: ({ id }) => id },
    {
      key: 'quantity',
      title: t('columns.quantity'),
      value: ({ quantity }) => t(`quantity.${quantity}`, { defaultValue: quantity }),
    },
    amount('measured', t('columns.measured')),
    amount('predicted', t('columns.predicted')),
    {
      key: 'error',
      title: t('columns.error'),
      isNumber: true,
      value: ({ relative_error }) => relative_error,
      cell: ({ relative_error }) =>
        relative_error == null ? '–' : <Quantity name="error_fraction" value={relative_error} isChange />,
    },
    {
      key: 'assumed',
      title: t('columns.assumed'),
      value: ({ assumed }) => assumed.length,
      cell: ({ assumed }) => <span title={assumed.join('\n')}>{format.field('count', assumed.length)}</span>,
      isNumber: true,
    },
  ];
  return (
    <DataTable
      label={t('own.rows')}
      rows={rows}
      columns={columns}
      rowKey={({ id, quantity }) => `${id} ${quantity}`}
      maxHeight="400px"
    />
  );
}
