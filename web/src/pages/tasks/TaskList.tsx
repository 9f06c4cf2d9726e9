import { Button, Group, NativeSelect, TextInput } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { Plus, Search } from 'lucide-react';
import { useTranslation } from 'react-i18next';
import { Link, useNavigate, useSearchParams } from 'react-router';

import { useFormat, useTerm } from '@/i18n/useLanguage';
import { DataTable, type Column } from '@/ui/DataTable';
import { Empty } from '@/ui/Empty';
import { Loading } from '@/ui/Loading';
import { PageBody } from '@/ui/PageBody';
import { PageHeader } from '@/ui/PageHeader';
import { ProblemPanel } from '@/ui/ProblemPanel';
import { Quantity } from '@/ui/Quantity';
import { RowName } from '@/ui/RowName';
import { State } from '@/ui/State';

import { tasksQuery, type Task } from './queries';

const STATES = [
  ...['draft', 'validated', 'deployed', 'preflight', 'starting', 'running', 'recovering'],
  ...['succeeded', 'failed', 'stopped'],
];
const MODES = ['existing', 'new', 'export', 'simulate'];

/** Tasks, the newest first, older ones on demand; filters stand in the address. */
export function TaskList() {
  const { t } = useTranslation('tasks');
  const [params] = useSearchParams();
  const wanted = {
    state: params.get('state') ?? '',
    launch_mode: params.get('launch_mode') ?? '',
    text: params.get('text') ?? '',
  };
  const found = useInfiniteQuery(tasksQuery(wanted));
  const { data: tasks, error, isPending, refetch } = found;
  const isNarrow = Object.values(wanted).some((value) => value !== '');
  return (
    <>
      <PageHeader>
        <Button component={Link} to="/tasks/create" leftSection={<Plus size={14} aria-hidden />}>
          {t('list.create')}
        </Button>
      </PageHeader>
      <PageBody>
        <Filters {...wanted} />
        {error != null && <ProblemPanel problem={error} onRetry={() => void refetch()} />}
        {isPending && <Loading height={400} />}
        {tasks?.length === 0 && (
          <Empty title={t(isNarrow ? 'list.nothing' : 'list.empty')}>
            {t(isNarrow ? 'list.nothingWhy' : 'list.emptyWhy')}
          </Empty>
        )}
        {tasks != null && tasks.length > 0 && <Table tasks={tasks} />}
        {found.hasNextPage && (
          <Button
            variant="default"
            style={{ alignSelf: 'center' }}
            loading={found.isFetchingNextPage}
            onClick={() => void found.fetchNextPage()}
          >
            {t('list.more')}
          </Button>
        )}
      </PageBody>
    </>
  );
}

function Filters(wanted: { state: string; launch_mode: string; text: string }) {
  const { t } = useTranslation('tasks');
  const term = useTerm();
  const [, setParams] = useSearchParams();
  const set = (name: string, value: string) => {
    setParams(
      (before) => {
        const next = new URLSearchParams(before);
        if (value === '') next.delete(name);
        else next.set(name, value);
        return next;
      },
      { replace: true },
    );
  };
  const select = (name: 'state' | 'launch_mode', values: readonly string[]) => (
    <NativeSelect
      aria-label={t(`list.${name}`)}
      value={wanted[name]}
      data={[
        { value: '', label: t('ui:named', { name: t(`list.${name}`), value: t('list.all') }) },
        ...values.map((value) => ({ value, label: term(name, value) })),
      ]}
      onChange={(event) => {
        set(name, event.currentTarget.value);
      }}
    />
  );
  return (
    <Group gap="xs">
      <TextInput
        aria-label={t('list.search')}
        placeholder={t('list.searchHint')}
        leftSection={<Search size={14} aria-hidden />}
        w={220}
        value={wanted.text}
        onChange={(event) => {
          set('text', event.currentTarget.value);
        }}
      />
      {select('state', STATES)}
      {select('launch_mode', MODES)}
    </Group>
  );
}

function Table({ tasks }: { tasks: readonly Task[] }) {
  const { t } = useTranslation('tasks');
  const term = useTerm();
  const format = useFormat();
  const navigate = useNavigate();
  const columns: Column<Task>[] = [
    {
      key: 'name',
      title: t('list.name'),
      value: ({ name }) => name,
      cell: ({ id, name }) => <RowName name={name} to={`/tasks/${id}`} />,
    },
    {
      key: 'state',
      title: t('list.state'),
      value: ({ state }) => STATES.indexOf(state),
      cell: ({ state }) => <State kind="state" value={state} />,
    },
    { key: 'mode', title: t('list.launch_mode'), value: (task) => term('launch_mode', task.launch_mode) },
    {
      key: 'framework',
      title: t('list.framework'),
      value: ({ framework }) => framework && term('framework', framework),
    },
    { key: 'nodes', title: t('list.nodes'), isNumber: true, value: ({ nodes }) => nodes.length },
    { key: 'gpus', title: t('list.gpus'), isNumber: true, value: (task) => task.num_gpus },
    {
      key: 'step',
      title: t('list.step'),
      isNumber: true,
      value: ({ prediction }) => prediction?.step_seconds,
      cell: ({ prediction }) => <Quantity name="step_seconds" value={prediction?.step_seconds} />,
    },
    { key: 'owner', title: t('list.owner'), value: ({ owner }) => owner },
    {
      key: 'created',
      title: t('list.created'),
      value: (task) => task.created_seconds,
      cell: (task) => (
        <time title={format.moment(task.created_seconds)}>
          {t('ago', { time: format.since(task.created_seconds) })}
        </time>
      ),
    },
  ];
  return (
    <DataTable
      label={t('list.title')}
      rows={tasks}
      columns={columns}
      rowKey={({ id }) => id}
      onChoose={({ id }) => {
        void navigate(`/tasks/${id}`);
      }}
    />
  );
}
