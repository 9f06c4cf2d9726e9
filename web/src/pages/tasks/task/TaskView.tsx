import { Anchor, Stack, Text } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useLocation, useNavigate } from 'react-router';

import { followEvents } from '@/api/events';
import { configurationQuery } from '@/api/queries';
import { formatDigest } from '@/format';
import { useFormat, useTerm } from '@/i18n/useLanguage';
import { Loading } from '@/ui/Loading';
import { PageBody } from '@/ui/PageBody';
import { PageHeader } from '@/ui/PageHeader';
import { Panel } from '@/ui/Panel';
import { ProblemPanel } from '@/ui/ProblemPanel';
import { State } from '@/ui/State';

import { hasEnded, taskQueries, untilOver, type Task } from '../queries';
import { Actions } from './Actions';
import { Checkpoints } from './Checkpoints';
import { Comparison } from './Comparison';
import { Curves } from './Curves';
import { Faults } from './Faults';
import { History } from './History';
import { JobLinks } from './JobLinks';
import { KeyFigures } from './KeyFigures';
import { Links } from './Links';
import { Log } from './Log';
import { Ranks } from './Ranks';
import classes from './TaskView.module.css';

/** One task: how it stands and why, what it measures beside what was predicted, and what its ranks say. */
export function TaskView({ id }: { id: string }) {
  const { data: task, error, refetch } = useQuery(taskQueries.task(id));
  useFollowed(id, task != null);
  if (error != null) return <Failed problem={error} onRetry={() => void refetch()} />;
  if (task == null) return <Loading height={560} />;
  return (
    <>
      <PageHeader note={<Breadcrumb task={task} />}>
        <Actions task={task} />
      </PageHeader>
      <PageBody>
        <Standing task={task} />
        <Attempted task={task} />
      </PageBody>
    </>
  );
}

function Failed({ problem, onRetry }: { problem: Error; onRetry: () => void }) {
  return (
    <>
      <PageHeader />
      <PageBody>
        <ProblemPanel problem={problem} onRetry={onRetry} />
      </PageBody>
    </>
  );
}

function Breadcrumb({ task }: { task: Task }) {
  return (
    <>
      <Anchor component={Link} to="/tasks" size="sm" aria-hidden tabIndex={-1}>
        {'/'}
      </Anchor>{' '}
      <span title={task.id}>{task.name}</span>
    </>
  );
}

/** Ask again about a task whenever something happens to it. */
function useFollowed(id: string, isThere: boolean): void {
  const queries = useQueryClient();
  useEffect(() => {
    if (!isThere) return undefined;
    const stop = new AbortController();
    const onEvent = () => {
      void queries.invalidateQueries({ queryKey: ['tasks', id] }, { cancelRefetch: false });
    };
    void followEvents(`/api/v1/training-tasks/${id}/events`, { signal: stop.signal, onEvent }).catch(() => undefined);
    return () => {
      stop.abort();
    };
  }, [queries, id, isThere]);
}

/** Whether the task was made just now, as who led here says; whoever loads the page again knows. */
function useIsNew(): boolean {
  const location = useLocation();
  const navigate = useNavigate();
  const [isNew] = useState((location.state as { isNew?: boolean } | null)?.isNew ?? false);
  useEffect(() => {
    if (location.state == null) return;
    const { hash } = window.location; // of the job: the router does not follow it
    void navigate({ ...location, hash }, { replace: true, state: null });
  }, [location, navigate]);
  return isNew;
}

/** The state in words, with its cause; of a new task also what was made. */
function Standing({ task }: { task: Task }) {
  const { t } = useTranslation('tasks');
  const term = useTerm();
  const format = useFormat();
  const isNew = useIsNew();
  const { data } = useQuery({ ...taskQueries.progress(task.id), refetchInterval: untilOver(task) });
  const { data: configuration } = useQuery(configurationQuery);
  const { data: history } = useQuery(taskQueries.transitions(task.id));
  const last = history?.transitions.filter(({ level }) => level === 'task').at(-1);
  const facts = [
    [t('task.mode'), term('launch_mode', task.launch_mode)],
    [t('task.framework'), task.framework == null ? null : term('framework', task.framework)],
    [
      t('task.nodes'),
      t(task.nodes.length === 0 ? 'task.gpusAlone' : 'task.nodesAndGpus', {
        nodes: task.nodes.length,
        gpus: task.num_gpus,
      }),
    ],
    [t('task.zones'), zonesOf(task).join(' · ')],
    [t('task.mainNode'), task.nodes.find((node) => node.environment_id === task.main_node)?.name],
    [t('task.owner'), task.owner],
    [t('task.created'), format.moment(task.created_seconds)],
    [t('task.deployment'), task.deployment_id && formatDigest(task.deployment_id), task.deployment_id],
  ] as const;
  return (
    <section className={classes.standing} aria-label={t('task.state')} data-testid="standing">
      <div className={classes.state}>
        <State kind="state" value={task.state} />
        {task.is_stop_asked && !hasEnded(task) && <Text size="sm">{t('task.stopAsked')}</Text>}
        <Text size="sm" c="dimmed">
          {last?.cause.text}
        </Text>
      </div>
      {isNew && (
        <p className={classes.made} role="status">
          {t('task.made')}{' '}
          {task.nodes.length > 1
            ? t('task.madeDistributed', { nodes: task.nodes.length, gpus: task.num_gpus })
            : t('task.madeSingle', { name: task.nodes[0]?.name ?? '' })}
        </p>
      )}
      {configuration?.is_demo === true && !hasEnded(task) && <p className={classes.waits}>{t('task.demo')}</p>}
      {data?.waits_for.map((each) => (
        <p key={each.where + each.message} className={classes.waits}>
          {t('task.waits')} <span>{t('ui:named', { name: each.where, value: `${each.message} ${each.hint}` })}</span>
        </p>
      ))}
      {data != null && data.unseen !== '' && (
        <p className={classes.waits}>
          {t('task.unseen')} {data.unseen}
        </p>
      )}
      <KeyFigures task={task} />
      <dl className={classes.facts}>
        {facts.map(([label, value, whole = value]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd title={whole ?? ''}>{value ?? '–'}</dd>
          </div>
        ))}
        {task.job != null && (
          <div>
            <dt>{t('task.job')}</dt>
            <dd>
              <JobLinks job={task.job} />
            </dd>
          </div>
        )}
      </dl>
    </section>
  );
}

/** Of the chosen nodes; of what is to be rented, those that the job writes. */
function zonesOf({ nodes, job }: Task): string[] {
  if (nodes.length > 0) return [...new Set(nodes.map(({ zone }) => zone))];
  const written = (job as { cluster?: { zones?: { name: string }[] } } | null)?.cluster?.zones ?? [];
  return written.map(({ name }) => name);
}

/** What is shown of the tries of a task; of one that has none, what is predicted of it. */
function Attempted({ task }: { task: Task }) {
  const { t } = useTranslation('tasks');
  const { data } = useQuery(taskQueries.attempts(task.id));
  const [chosen, choose] = useState<number | null>(null);
  const tried = data?.attempts ?? [];
  const shown = tried.find(({ attempt }) => attempt.number === chosen) ?? tried.at(-1);
  return (
    <Stack gap="md">
      {tried.length > 1 && (
        <div className={classes.attempts} role="group" aria-label={t('task.attempts')}>
          {tried.map(({ attempt }) => (
            <button
              key={attempt.id}
              type="button"
              aria-pressed={attempt.id === shown?.attempt.id}
              onClick={() => {
                choose(attempt.number);
              }}
            >
              {t('task.attempt', { number: attempt.number })} <State kind="state" value={attempt.state} />
            </button>
          ))}
        </div>
      )}
      <div className={classes.columns}>
        <Comparison task={task} />
        {shown != null && <Ranks task={task} tried={shown} />}
      </div>
      {shown != null && <Curves task={task} number={shown.attempt.number} />}
      {shown != null && (
        <div className={classes.columns}>
          <Faults task={task} />
          <Checkpoints task={task} />
        </div>
      )}
      {shown != null && <Links task={task} number={shown.attempt.number} />}
      {shown != null && <Log task={task} number={shown.attempt.number} />}
      <History task={task} tried={tried} />
      {task.warnings.length > 0 && (
        <Panel title={t('task.notes')}>
          <ul className={classes.notes}>
            {task.warnings.map((warning) => (
              <li key={warning}>{warning}</li>
            ))}
          </ul>
        </Panel>
      )}
    </Stack>
  );
}
