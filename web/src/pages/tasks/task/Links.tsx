import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat } from '@/i18n/useLanguage';
import { DataTable, type Column } from '@/ui/DataTable';
import { Panel } from '@/ui/Panel';
import { Quantity } from '@/ui/Quantity';
import { State } from '@/ui/State';

import { taskQueries, untilOver, type Task } from '../queries';

type Link = Schemas['TaskLink'];
type Look = Schemas['PathLook'];
const LOOK_SECONDS = 30;

/** The paths between the nodes as they were looked at last, beside what was planned, with their alarms. */
export function Links({ task, number }: { task: Task; number: number }) {
  const { t } = useTranslation('tasks');
  const format = useFormat();
  const { data } = useQuery({ ...taskQueries.links(task.id, number), refetchInterval: untilOver(task, LOOK_SECONDS) });
  if (data == null || data.links.length === 0) return null;
  const name = (id: string) => task.nodes.find((each) => each.environment_id === id)?.name ?? id;
  const figure = (key: keyof Look & string): Column<Link> => ({
    key,
    title: t(`links.${key}`),
    isNumber: true,
    value: ({ newest }) => newest[key] as number | null,
    cell: ({ newest }) => <Quantity name={key} value={newest[key] as number | null} />,
  });
  const columns: Column<Link>[] = [
    {
      key: 'path',
      title: t('links.path'),
      value: (row) => `${name(row.from_environment)} → ${name(row.to_environment)}`,
    },
    {
      key: 'level',
      title: t('links.level'),
      value: ({ level }) => level,
      cell: ({ level }) => <State kind="alarm" value={level} />,
    },
    figure('rtt_seconds'),
    figure('planned_rtt_seconds'),
    figure('bytes_per_second'),
    figure('planned_bytes_per_second'),
    {
      key: 'seen',
      title: t('links.seen'),
      value: ({ seconds }) => seconds.at(-1),
      cell: ({ seconds }) => format.moment(seconds.at(-1)),
    },
  ];
  return (
    <Panel title={t('links.title')}>
      <DataTable
        label={t('links.title')}
        rows={data.links}
        columns={columns}
        rowKey={(row) => `${row.from_environment} ${row.to_environment}`}
      />
    </Panel>
  );
}
