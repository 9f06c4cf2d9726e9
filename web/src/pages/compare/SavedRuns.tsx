import { Button, Group, Text, TextInput } from '@mantine/core';
import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query';
import { useDeferredValue, useState, type FormEvent } from 'react';
import { useTranslation } from 'react-i18next';
import { useSearchParams } from 'react-router';

import { answer, api, idempotencyKey, type Schemas } from '@/api/client';
import { useFormat } from '@/i18n/useLanguage';
import { useJob } from '@/job/JobContext';
import { useAnswer } from '@/job/useAnswer';
import { DataTable, type Column } from '@/ui/DataTable';
import { Loading } from '@/ui/Loading';
import { Panel } from '@/ui/Panel';
import { ProblemPanel } from '@/ui/ProblemPanel';
import { Quantity } from '@/ui/Quantity';
import { SearchField } from '@/ui/SearchField';

import classes from './ComparePage.module.css';
import { Forget } from './Forget';
import { RUN_LIST, savedQuery } from './savedQuery';

type Run = Schemas['RunSummary'];
/** Rows from which on there is something to search. */
const MANY = 8;

/** What was kept, to choose from; the address holds the choice, so that it can be sent to others. */
export function SavedRuns() {
  const { t } = useTranslation('compare');
  const [parameters, setParameters] = useSearchParams();
  const [text, setText] = useState('');
  const found = useInfiniteQuery(savedQuery(useDeferredValue(text)));
  const { data: runs, error, refetch } = found;
  const [isLong, setIsLong] = useState(false); // and stays so while it is searched
  if (!isLong && runs != null && runs.length > MANY) setIsLong(true);
  const ids = parameters.getAll('id');
  const columns = useRunColumns(ids);
  const choose = (next: readonly string[]) => {
    setParameters(
      next.map((each) => ['id', each] as [string, string]),
      { replace: true },
    );
  };
  const toggle = ({ id }: Run) => {
    // What is drawn may be behind the address where two choices follow each other quickly.
    const chosen = new URLSearchParams(window.location.search).getAll('id');
    choose(chosen.includes(id) ? chosen.filter((each) => each !== id) : [...chosen, id]);
  };
  return (
    <Panel title={t('saved.title')} aside={<Keep />}>
      {error != null && <ProblemPanel problem={error} onRetry={() => void refetch()} />}
      {runs == null && error == null && <Loading height={20} />}
      {runs?.length === 0 && !isLong && (
        <Text size="sm" c="dimmed">
          {t('saved.none')} {t('saved.how')}
        </Text>
      )}
      {isLong && (
        <Group mb={6}>
          <SearchField label={t('saved.search')} value={text} onChange={setText} />
        </Group>
      )}
      {runs?.length === 0 && isLong && (
        <Text size="sm" c="dimmed" mt="xs">
          {t('saved.notFound', { text })}
        </Text>
      )}
      {runs != null && runs.length > 0 && (
        <DataTable
          label={t('saved.title')}
          rows={runs}
          columns={columns}
          rowKey={({ id }) => id}
          isChosen={({ id }) => ids.includes(id)}
          onChoose={toggle}
          maxHeight="260px"
        />
      )}
      <Group gap="xs" mt={6}>
        {found.hasNextPage && (
          <Button
            variant="subtle"
            size="compact-xs"
            loading={found.isFetchingNextPage}
            onClick={() => void found.fetchNextPage()}
          >
            {t('saved.more')}
          </Button>
        )}
        {ids.length > 0 && (
          <>
            <Button
              variant="subtle"
              size="compact-xs"
              onClick={() => {
                choose([]);
              }}
            >
              {t('saved.noneChosen')}
            </Button>
            <Forget ids={ids} onForgotten={choose} />
          </>
        )}
      </Group>
    </Panel>
  );
}

function useRunColumns(ids: readonly string[]): Column<Run>[] {
  const { t } = useTranslation('compare');
  const format = useFormat();
  const seconds = (name: 'predicted_step_seconds' | 'measured_step_seconds'): Column<Run> => ({
    key: name,
    title: t(`columns.${name}`),
    isNumber: true,
    value: (run) => run[name],
    cell: (run) => (run[name] == null ? '–' : <Quantity name={name} value={run[name]} />),
  });
  return [
    {
      key: 'chosen',
      title: t('columns.chosen'),
      value: ({ id }) => ids.includes(id),
      cell: ({ id }) => (ids.includes(id) ? `✓ ${String(ids.indexOf(id) + 1)}` : ''),
    },
    {
      key: 'name',
      title: t('columns.name'),
      value: ({ name }) => name,
      cell: ({ name }) => (
        <span className={classes.run} title={name}>
          {name}
        </span>
      ),
    },
    { key: 'kind', title: t('columns.kind'), value: ({ kind }) => t(`kind.${kind}`) },
    { key: 'framework', title: t('columns.framework'), value: ({ framework }) => framework ?? '–' },
    seconds('predicted_step_seconds'),
    seconds('measured_step_seconds'),
    {
      key: 'created',
      title: t('columns.created'),
      value: ({ created_seconds }) => created_seconds,
      cell: ({ created_seconds }) => format.moment(created_seconds),
    },
  ];
}

/** Keeps the plan that is looked at under a name. */
function Keep() {
  const { t } = useTranslation('compare');
  const { job } = useJob();
  const { data, chosen, isStale } = useAnswer();
  const [name, setName] = useState('');
  const queries = useQueryClient();
  const keep = useMutation({
    mutationFn: (ranked: Schemas['RankedPlan']) => {
      const result = { problem: data?.problem, ...ranked.prediction, plan: ranked.plan };
      const body = { name: name.trim(), result, job: job as Record<string, unknown> };
      return answer(api.POST('/api/v1/runs', { body, headers: idempotencyKey() }));
    },
    onSuccess: () => {
      setName('');
      void queries.invalidateQueries({ queryKey: RUN_LIST });
    },
  });
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    if (chosen != null) keep.mutate(chosen);
  };
  return (
    <form className={classes.keep} onSubmit={onSubmit}>
      <TextInput
        aria-label={t('keep.name')}
        placeholder={t('keep.name')}
        value={name}
        error={keep.error?.message}
        onChange={(event) => {
          setName(event.currentTarget.value);
        }}
      />
      <Button
        type="submit"
        variant="default"
        loading={keep.isPending}
        disabled={name.trim() === '' || chosen == null || isStale}
      >
        {t('keep.do')}
      </Button>
    </form>
  );
}
