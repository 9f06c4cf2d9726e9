import { Button, Text } from '@mantine/core';
import { useQueries } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { liveQuery } from '@/api/live';
import { Problem } from '@/api/problem';
import { useTerm } from '@/i18n/useLanguage';
import { useChoices } from '@/job/fields/useField';
import { useJob } from '@/job/JobContext';
import { useSettings } from '@/job/useSettings';
import { DataTable, type Column } from '@/ui/DataTable';
import { Difference } from '@/ui/Difference';
import { Panel } from '@/ui/Panel';
import { ProblemPanel } from '@/ui/ProblemPanel';
import { useMemoryReading } from '@/ui/StageBar';

import { Words } from './PlanWords';
import classes from './Strategy.module.css';

type Change = Schemas['Change'];

/** A way to trade memory, time or numbers that the chosen plan does not use. */
interface Technique {
  /** Of the job file; its last part names it. */
  key: string;
  chosen: string;
  tried: string;
  settings: readonly string[];
}

interface Row extends Technique {
  isWaiting: boolean;
  result: Schemas['WhatIf'] | undefined;
  problem: Problem | null;
}

interface Props {
  problem: Schemas['Problem'];
  plan: Schemas['Plan'];
  /** Whether both are of a job that has changed since. */
  isStale: boolean;
}

const STEP = 'step_seconds';
const MEMORY = 'memory.peak_bytes';
const PRECISIONS = ['bf16', 'fp8'];

/** What each technique would do to the step and to the memory of the chosen plan, which is otherwise as it is. */
export function Techniques({ problem, plan, isStale }: Props) {
  const { t } = useTranslation(['strategy', 'fields']);
  const { job } = useJob();
  const settings = useSettings();
  const [asked, setAsked] = useState({ job, problem, plan });
  if (!isStale && (asked.job !== job || asked.plan !== plan)) setAsked({ job, problem, plan });
  const techniques = useTechniques(asked.problem, asked.plan);
  const body = { job: asked.job as Schemas['JobFile'], plan: { ...asked.plan } };
  const answers = useQueries({
    queries: techniques.map((one) => liveQuery('whatif', { ...body, set: [...one.settings] })),
  });
  const rows = techniques.map((one, index): Row => {
    const { data, error, isPending = true } = answers[index] ?? {};
    return { ...one, isWaiting: isPending, result: data, problem: error instanceof Problem ? error : null };
  });
  const columns: Column<Row>[] = [
    { key: 'technique', title: t('techniques.technique'), value: (row) => t(`fields:${nameOf(row)}.label`) },
    {
      key: 'tried',
      title: t('techniques.tried'),
      value: (row) => row.tried,
      cell: (row) => (
        <span translate="no">
          <span className={classes.dim}>{row.chosen} →</span> {row.tried}
        </span>
      ),
    },
    difference(STEP, t('field.step_seconds')),
    difference(MEMORY, t('field.peak_bytes')),
    { key: 'note', title: '', value: () => null, cell: (row) => <Note row={row} /> },
    {
      key: 'take',
      title: '',
      value: () => null,
      cell: (row) => (
        <Button
          variant="default"
          size="compact-xs"
          disabled={row.result == null || !row.result.changed.memory.fits}
          loading={settings.isPending}
          onClick={() => {
            settings.mutate(row.settings);
          }}
        >
          {t('guide.take')}
        </Button>
      ),
    },
  ];
  return (
    <Panel title={t('techniques.title')} isStale={isStale}>
      <Text size="sm" c="dimmed" mb="sm">
        {t('techniques.how')}
      </Text>
      {settings.error != null && <ProblemPanel problem={settings.error} />}
      <DataTable label={t('techniques.title')} rows={rows} columns={columns} rowKey={keyOf} />
    </Panel>
  );
}

/** What the plan could use instead of what it uses. */
function useTechniques(problem: Schemas['Problem'], plan: Schemas['Plan']): Technique[] {
  const [recomputes, shards, offloads] = [
    useChoices('Plan', 'recompute'),
    useChoices('Plan', 'shard'),
    useChoices('Plan', 'offload'),
  ];
  const found = [
    ...others('plan.recompute', plan.recompute, recomputes),
    ...(plan.dp > 1 ? others('plan.shard', plan.shard, shards) : []),
    ...others('plan.offload', plan.offload, offloads),
    ...(plan.tp > 1 ? others('plan.sequence_parallel', String(plan.sequence_parallel), ['true', 'false']) : []),
    ...others('workload.precision', problem.workload.dtypes.compute, PRECISIONS),
  ];
  if (plan.pp === 1) return found;
  const chunks = others('plan.num_virtual_stages', String(plan.num_virtual_stages), ['1', '2', '4']);
  const schedule = (count: string) => `plan.schedule=${count === '1' ? '1f1b' : 'interleaved_1f1b'}`;
  return [...found, ...chunks.map((one) => ({ ...one, settings: [...one.settings, schedule(one.tried)] }))];
}

function others(key: string, chosen: string, choices: readonly string[]): Technique[] {
  return choices
    .filter((tried) => tried !== chosen)
    .map((tried) => ({ key, chosen, tried, settings: [`${key}=${tried}`] }));
}

function nameOf({ key }: Technique): string {
  return key.slice(key.indexOf('.') + 1);
}

function keyOf({ key, tried }: Technique): string {
  return `${key}=${tried}`;
}

function changeOf({ result }: Row, name: string): Change | undefined {
  return result?.changes.find((each) => each.name === name);
}

function difference(name: string, title: string): Column<Row> {
  const field = name.slice(name.indexOf('.') + 1);
  return {
    key: field,
    title,
    isNumber: true,
    value: (row) => changeOf(row, name)?.difference,
    cell: (row) => <Difference name={field} change={changeOf(row, name)} />,
  };
}

/** Why it cannot be, or what it changes besides. */
function Note({ row }: { row: Row }) {
  const term = useTerm();
  const reading = useMemoryReading();
  if (row.isWaiting) return null;
  if (row.result == null) return <Wrapped>{row.problem?.errors[0]?.message ?? row.problem?.message ?? ''}</Wrapped>;
  const { memory } = row.result.changed;
  if (memory.fits) return <Wrapped>{row.result.warnings[0] ?? ''}</Wrapped>;
  return (
    <span style={{ color: 'var(--cz-bad)' }}>
      {term('verdict', memory.verdict)} · {reading(memory.peak_bytes, memory.capacity_bytes)}
    </span>
  );
}

function Wrapped({ children }: { children: string }) {
  return (
    <span className={classes.wrapped}>
      <Words isDimmed>{children}</Words>
    </span>
  );
}
