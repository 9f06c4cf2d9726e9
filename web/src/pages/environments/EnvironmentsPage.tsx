import { Button, Modal } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Plus, RefreshCw, Upload } from 'lucide-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type Schemas } from '@/api/client';
import { configurationQuery } from '@/api/queries';
import { useFormat, useTerm } from '@/i18n/useLanguage';
import { InventoryFilters } from '@/inventory/InventoryFilters';
import { useEnvironments, useNarrowing, type Environment } from '@/inventory/useEnvironments';
import { DataTable, type Column } from '@/ui/DataTable';
import { Empty } from '@/ui/Empty';
import { Loading } from '@/ui/Loading';
import { PageBody } from '@/ui/PageBody';
import { PageHeader } from '@/ui/PageHeader';
import { ProblemPanel } from '@/ui/ProblemPanel';
import { Quantity } from '@/ui/Quantity';
import { RowName } from '@/ui/RowName';
import { State } from '@/ui/State';
import { Tile, Tiles } from '@/ui/Tiles';

import { EditEnvironment } from './EditEnvironment';
import { ImportEnvironments } from './ImportEnvironments';

/** The machines that a team can train on: found, looked at, changed, imported. */
export default function EnvironmentsPage() {
  const { t } = useTranslation('environments');
  const { t: ofInventory } = useTranslation('inventory');
  const narrowing = useNarrowing();
  const { data, error, refetch } = useEnvironments(narrowing);
  const [edited, edit] = useState<Environment | 'new' | null>(null);
  const [isImporting, setImporting] = useState(false);
  const about = narrowing.isNarrow ? 'nothing' : 'empty';
  return (
    <>
      <PageHeader>
        <Look ids={data?.environments.map(({ id }) => id) ?? []} />
        <Button
          variant="default"
          leftSection={<Upload size={14} aria-hidden />}
          onClick={() => {
            setImporting(true);
          }}
        >
          {t('import.title')}
        </Button>
        <Button
          leftSection={<Plus size={14} aria-hidden />}
          onClick={() => {
            edit('new');
          }}
        >
          {t('add')}
        </Button>
      </PageHeader>
      <PageBody>
        <InventoryFilters narrowing={narrowing} />
        {error != null && <ProblemPanel problem={error} onRetry={() => void refetch()} />}
        {data == null && error == null && <Loading height={360} />}
        {data != null && <Totals totals={data.totals} />}
        {data?.environments.length === 0 && (
          <Empty title={ofInventory(`${about}.title`)}>{ofInventory(`${about}.why`)}</Empty>
        )}
        {data != null && data.environments.length > 0 && <Rows environments={data.environments} onChoose={edit} />}
      </PageBody>
      {edited != null && (
        <EditEnvironment
          id={edited === 'new' ? null : edited.id}
          onClose={() => {
            edit(null);
          }}
        />
      )}
      {isImporting && (
        <ImportEnvironments
          onClose={() => {
            setImporting(false);
          }}
        />
      )}
    </>
  );
}

/** Look at all that is shown over ssh: versions, GPUs, free memory, and the paths between their zones. */
function Look({ ids }: { ids: string[] }) {
  const { t } = useTranslation('environments');
  const queries = useQueryClient();
  const { data: configuration } = useQuery(configurationQuery);
  const look = useMutation({
    mutationFn: () => answer(api.POST('/api/v1/environments/probe', { body: { ids } })),
    onSettled: () => queries.invalidateQueries({ queryKey: ['environments'] }),
  });
  const isDemo = configuration?.is_demo ?? true;
  return (
    <>
      <Button
        variant="default"
        leftSection={<RefreshCw size={14} aria-hidden />}
        loading={look.isPending}
        disabled={isDemo || ids.length === 0}
        title={isDemo ? t('look.demo') : t('look.why')}
        onClick={() => {
          look.mutate();
        }}
      >
        {t('look.title')}
      </Button>
      <Modal
        opened={look.error != null || (look.data?.warnings.length ?? 0) > 0}
        onClose={look.reset}
        title={t('look.title')}
        closeButtonProps={{ 'aria-label': t('cancel') }}
      >
        {look.error != null && <ProblemPanel problem={look.error} />}
        {look.data?.warnings.map((warning) => (
          <p key={warning}>{warning}</p>
        ))}
      </Modal>
    </>
  );
}

function Totals({ totals }: { totals: Schemas['EnvironmentTotals'] }) {
  const { t } = useTranslation('environments');
  const atLeast = (unknown: number) => (unknown > 0 ? `${t('atLeast')} ` : '');
  return (
    <Tiles testId="totals">
      <Tile field="num_environments" label={t('totals.environments')}>
        {totals.num_environments}
      </Tile>
      <Tile
        field="num_gpus"
        label={t('totals.gpus')}
        note={totals.gpus.map(({ gpu, num_gpus: gpus }) => t('gpuCount', { gpus, gpu })).join(' · ')}
      >
        {totals.num_gpus}
      </Tile>
      <Tile field="num_cpus" label={t('totals.cpus')}>
        {atLeast(totals.num_unknown_cpus)}
        {totals.num_cpus}
      </Tile>
      <Tile field="memory_bytes" label={t('totals.memory')}>
        {atLeast(totals.num_unknown_memory)}
        <Quantity name="memory_bytes" value={totals.memory_bytes} />
      </Tile>
      <Tile field="zones" label={t('totals.zones')} note={totals.zones.map(({ zone }) => zone).join(' · ')}>
        {totals.zones.length}
      </Tile>
    </Tiles>
  );
}

function Rows({
  environments,
  onChoose,
}: {
  environments: readonly Environment[];
  onChoose: (row: Environment) => void;
}) {
  const { t } = useTranslation('environments');
  const term = useTerm();
  const format = useFormat();
  const columns: Column<Environment>[] = [
    {
      key: 'name',
      title: t('columns.name'),
      value: ({ name }) => name,
      cell: ({ name }) => <RowName name={name} />,
    },
    {
      key: 'status',
      title: t('columns.status'),
      value: ({ status }) => status,
      cell: ({ status, health }) => (
        <>
          <State kind="status" value={status} />
          {health != null && ` · ${term('health', health)}`}
        </>
      ),
    },
    { key: 'zone', title: t('columns.zone'), value: ({ zone }) => zone },
    {
      key: 'gpu',
      title: t('columns.gpu'),
      value: (row) => row.num_gpus,
      cell: ({ gpu, num_gpus: gpus }) => (gpu == null ? '–' : t('gpuCount', { gpus, gpu })),
    },
    { key: 'cpus', title: t('columns.cpus'), isNumber: true, value: (row) => row.num_cpus },
    {
      key: 'memory',
      title: t('columns.memory'),
      isNumber: true,
      value: (row) => row.memory_bytes,
      cell: (row) => <Quantity name="memory_bytes" value={row.memory_bytes} />,
    },
    { key: 'image', title: t('columns.image'), value: ({ image }) => image },
    { key: 'address', title: t('columns.address'), value: ({ addresses }) => addresses[0] },
    {
      key: 'versions',
      title: t('columns.versions'),
      value: (row) => row.cuda_version,
      cell: (row) =>
        [row.driver_version, row.cuda_version, row.nccl_version].filter((each) => each != null).join(' / ') || '–',
    },
    {
      key: 'uptime',
      title: t('columns.uptime'),
      isNumber: true,
      value: (row) => row.started_seconds,
      cell: (row) => format.since(row.started_seconds),
    },
    {
      key: 'seen',
      title: t('columns.seen'),
      isNumber: true,
      value: (row) => row.seen_seconds,
      cell: (row) => <time title={format.moment(row.seen_seconds)}>{format.since(row.seen_seconds)}</time>,
    },
  ];
  return (
    <DataTable label={t('title')} rows={environments} columns={columns} rowKey={({ id }) => id} onChoose={onChoose} />
  );
}
