import { Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat, useTerm } from '@/i18n/useLanguage';
import { DataTable, type Column } from '@/ui/DataTable';
import { Empty } from '@/ui/Empty';
import { Panel } from '@/ui/Panel';
import { Quantity } from '@/ui/Quantity';

import { taskQueries, type Task } from '../queries';
import classes from './TaskView.module.css';

type Figure = Schemas['TaskProgress']['compared'][number];

/** What was predicted, and beside it what the newest attempt measures. */
export function Comparison({ task }: { task: Task }) {
  const { t } = useTranslation('tasks');
  const term = useTerm();
  const { data } = useQuery(taskQueries.progress(task.id));
  const columns: Column<Figure>[] = [
    { key: 'name', title: t('compare.figure'), value: ({ name }) => term('field', name) },
    figures('predicted', t('compare.predicted')),
    figures('measured', t('compare.measured')),
    {
      key: 'ratio',
      title: t('compare.ratio'),
      isNumber: true,
      value: ({ ratio }) => ratio,
      cell: ({ ratio }) => (ratio == null ? '–' : <Quantity name="ratio" value={ratio} />),
    },
  ];
  const rows = data?.compared ?? [];
  return (
    <Panel title={t('compare.title')} aside={<Steps progress={data} />}>
      {rows.length === 0 ? (
        <Empty title={t('compare.nothing')}>{t('compare.nothingWhy')}</Empty>
      ) : (
        <div className={classes.compared}>
          <DataTable label={t('compare.title')} rows={rows} columns={columns} rowKey={({ name }) => name} />
        </div>
      )}
      {data?.run?.device === 'cpu' && (
        <Text size="xs" c="dimmed" mt="xs">
          {t('compare.cpu')}
        </Text>
      )}
    </Panel>
  );
}

function Steps({ progress }: { progress: Schemas['TaskProgress'] | undefined }) {
  const { t } = useTranslation('tasks');
  const format = useFormat();
  const run = progress?.run;
  if (run?.step == null) return null;
  return (
    <Text size="xs" c="dimmed">
      {t('compare.step', { step: run.step, of: run.run?.num_steps ?? '?' })}
      {run.remaining_seconds != null && ` · ${t('compare.remaining', { time: format.span(run.remaining_seconds) })}`}
    </Text>
  );
}

function figures(key: 'predicted' | 'measured', title: string): Column<Figure> {
  return {
    key,
    title,
    isNumber: true,
    value: (row) => row[key],
    cell: (row) => (row[key] == null ? '–' : <Quantity name={row.name} value={row[key]} />),
  };
}
