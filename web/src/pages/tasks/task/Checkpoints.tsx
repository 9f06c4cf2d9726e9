import { Button, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat } from '@/i18n/useLanguage';
import { DataTable, type Column } from '@/ui/DataTable';
import { Panel } from '@/ui/Panel';
import { Quantity } from '@/ui/Quantity';

import { taskQueries, untilOver, type Task } from '../queries';

type Checkpoint = Schemas['TaskCheckpoint'];
const NUM_NEWEST = 6;

/** What was saved, the newest first: how long that took, what is still there, and what ranks went on from. */
export function Checkpoints({ task }: { task: Task }) {
  const { t } = useTranslation('tasks');
  const [isWhole, setWhole] = useState(false);
  const { data } = useQuery({ ...taskQueries.checkpoints(task.id), refetchInterval: untilOver(task) });
  const rows = (data?.checkpoints ?? []).toReversed();
  const columns = useColumns();
  return (
    <Panel title={t('checkpoints.title')} note={t('checkpoints.count', { count: rows.length })}>
      {rows.length > 0 ? (
        <DataTable
          label={t('checkpoints.title')}
          rows={isWhole ? rows : rows.slice(0, NUM_NEWEST)}
          columns={columns}
          rowKey={({ step }) => String(step)}
          {...(isWhole ? { maxHeight: '420px' } : {})}
        />
      ) : (
        <Text size="sm" c="dimmed">
          {t('checkpoints.nothing')}
        </Text>
      )}
      {rows.length > NUM_NEWEST && (
        <Button
          variant="subtle"
          size="compact-xs"
          mt="xs"
          aria-expanded={isWhole}
          onClick={() => {
            setWhole(!isWhole);
          }}
        >
          {isWhole ? t('checkpoints.newest') : t('checkpoints.all', { count: rows.length })}
        </Button>
      )}
    </Panel>
  );
}

function useColumns(): Column<Checkpoint>[] {
  const { t } = useTranslation('tasks');
  const format = useFormat();
  return [
    { key: 'step', title: t('checkpoints.step'), isNumber: true, value: ({ step }) => step },
    {
      key: 'seconds',
      title: t('checkpoints.saved'),
      value: ({ seconds }) => seconds,
      cell: ({ seconds }) => (seconds == null ? '–' : format.exactMoment(seconds)),
    },
    {
      key: 'took',
      title: t('checkpoints.took'),
      isNumber: true,
      value: (row) => row.checkpoint_seconds,
      cell: (row) =>
        row.checkpoint_seconds == null ? '–' : <Quantity name="checkpoint_seconds" value={row.checkpoint_seconds} />,
    },
    {
      key: 'kept',
      title: t('checkpoints.kept'),
      isNumber: true,
      value: (row) => row.size_bytes,
      cell: (row) =>
        row.size_bytes == null ? (
          <Text span size="sm" c="dimmed">
            {t(`checkpoints.is.${row.is_kept == null ? 'unknown' : 'gone'}`)}
          </Text>
        ) : (
          <Quantity name="size_bytes" value={row.size_bytes} />
        ),
    },
    {
      key: 'resumed',
      title: t('checkpoints.resumed'),
      isNumber: true,
      value: (row) => row.num_resumed,
      cell: (row) => (row.num_resumed === 0 ? '–' : `${String(row.num_resumed)} ×`),
    },
  ];
}
