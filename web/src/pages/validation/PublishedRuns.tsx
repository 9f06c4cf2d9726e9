import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat } from '@/i18n/useLanguage';
import { DataTable, type Column } from '@/ui/DataTable';
import { Panel } from '@/ui/Panel';
import { Quantity } from '@/ui/Quantity';

import { Scatter } from './Scatter';
import { Tiles } from './Tiles';
import classes from './ValidationPage.module.css';

type Accuracy = Schemas['Accuracy'];
type Score = Accuracy['total'];

/** What the program was tested on before it was shipped; a source that is chosen stands out among the dots. */
export function PublishedRuns({ accuracy }: { accuracy: Accuracy }) {
  const { t } = useTranslation('validation');
  const [source, setSource] = useState<string | null>(null);
  const score = useScoreColumns<Accuracy['sources'][number]>();
  const sources: Column<Accuracy['sources'][number]>[] = [
    { key: 'title', title: t('columns.source'), value: ({ title }) => title },
    ...score.filter(({ key }) => key !== 'median_ape' && key !== 'bias'),
    error('left_out_mape', t('columns.leftOut')),
  ];
  return (
    <>
      <Panel title={t('published.title')} note={t('published.made', accuracy)}>
        <Totals total={accuracy.total} />
        <div className={classes.split}>
          <DataTable
            label={t('published.bySource')}
            rows={accuracy.sources}
            columns={sources}
            rowKey={(each) => each.source}
            isChosen={(each) => each.source === source}
            onChoose={(each) => {
              setSource(each.source === source ? null : each.source);
            }}
          />
          <Scatter points={accuracy.rows} source={source} />
        </div>
      </Panel>
      <div className={classes.pair}>
        <Panel title={t('published.byGpu')}>
          <ByName
            rows={accuracy.gpus}
            title={t('columns.gpu')}
            label={t('published.byGpu')}
            nameOf={({ gpu }) => gpu}
          />
        </Panel>
        <Panel title={t('published.byFramework')}>
          <ByName
            rows={accuracy.frameworks}
            title={t('columns.framework')}
            label={t('published.byFramework')}
            nameOf={({ framework }) => framework}
          />
        </Panel>
      </div>
    </>
  );
}

function Totals({ total }: { total: Score }) {
  const { t } = useTranslation('validation');
  const format = useFormat();
  return (
    <Tiles
      tiles={[
        {
          name: 'median_ape_fraction',
          label: t('tiles.median'),
          value: total.median_ape,
          note: t('tiles.mean', { error: format.field('fraction', total.mape) }),
        },
        { name: 'bias_fraction', label: t('tiles.bias'), value: total.bias, note: t('tiles.biasNote'), isChange: true },
        {
          name: 'interval_coverage_fraction',
          label: t('tiles.coverage'),
          value: total.interval_coverage_fraction,
          note: t('tiles.coverageNote'),
        },
        {
          name: 'null_model_mape_fraction',
          label: t('tiles.null'),
          value: total.null_model_mape,
          note: t('tiles.nullNote'),
        },
        { name: 'num_rows', label: t('tiles.runs'), value: total.num_rows, note: t('tiles.runsNote') },
      ]}
    />
  );
}

interface ByNameProps<Row> {
  rows: readonly Row[];
  title: string;
  label: string;
  nameOf: (row: Row) => string;
}

function ByName<Row extends Score>({ rows, title, label, nameOf }: ByNameProps<Row>) {
  const name: Column<Row> = { key: 'name', title, value: nameOf };
  return <DataTable label={label} rows={rows} columns={[name, ...useScoreColumns<Row>()]} rowKey={nameOf} />;
}

/** What every breakdown shows. */
function useScoreColumns<Row extends Score>(): Column<Row>[] {
  const { t } = useTranslation('validation');
  return [
    { key: 'num_rows', title: t('columns.runs'), isNumber: true, value: ({ num_rows }) => num_rows },
    error('mape', t('columns.mean')),
    error('median_ape', t('columns.median')),
    error('bias', t('columns.bias'), true),
    error('null_model_mape', t('columns.null')),
  ];
}

function error<Name extends string>(name: Name, title: string, isChange = false): Column<Record<Name, number | null>> {
  return {
    key: name,
    title,
    isNumber: true,
    value: (row) => row[name],
    cell: (row) =>
      row[name] == null ? '–' : <Quantity name={`${name}_fraction`} value={row[name]} isChange={isChange} />,
  };
}
