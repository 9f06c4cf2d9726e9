/**
 * Answers that follow what a person types: asked again a moment after the inputs change, the old answer kept meanwhile
 * and marked stale, requests that were overtaken given up.
 */
import { useDebouncedValue } from '@mantine/hooks';
import { queryOptions, useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { answer, api, type Schemas } from './client';
import { Problem } from './problem';

interface Verbs {
  job: { asks: Schemas['JobArguments']; gives: Schemas['JobDocument'] };
  guide: { asks: Schemas['GuideArguments']; gives: Schemas['Guide'] };
  predict: { asks: Schemas['PredictArguments']; gives: Schemas['Prediction'] };
  plan: { asks: Schemas['PlanArguments']; gives: Schemas['Answer'] };
  whatif: { asks: Schemas['WhatifArguments']; gives: Schemas['WhatIf'] };
  simulate: { asks: Schemas['SimulateArguments']; gives: Schemas['Simulation'] };
  ranks: { asks: Schemas['RanksArguments']; gives: Schemas['RankMap'] };
  compare: { asks: Schemas['CompareArguments']; gives: Schemas['SideBySide'] };
  'deploy/cells': { asks: Schemas['DeployCellsArguments']; gives: Schemas['DeployCells'] };
  'environments/cluster': { asks: { ids: string[]; main_node?: string }; gives: Schemas['ChosenCluster'] };
  'environments/paths': { asks: { ids: string[] }; gives: Schemas['EnvironmentPaths'] };
  'training-tasks/examine': { asks: Record<string, unknown>; gives: Schemas['TaskExamination'] };
}
export type Verb = keyof Verbs;

/** How long the inputs must rest: a search should not begin between two letters, a slider should not wait. */
const PAUSE_MILLISECONDS: Record<Verb, number> = {
  job: 150,
  guide: 0,
  predict: 100,
  plan: 200,
  whatif: 30,
  simulate: 350,
  ranks: 100,
  compare: 100,
  'deploy/cells': 200,
  'environments/cluster': 0,
  'environments/paths': 0,
  'training-tasks/examine': 300,
};

export interface Live<Data> {
  /** Undefined until the first answer. */
  data: Data | undefined;
  /** Whether `data` is of inputs that have changed since, or that are wrong. */
  isStale: boolean;
  isWaiting: boolean;
  /** What the server has against the present inputs. */
  problem: Problem | null;
  retry: () => void;
}

/** The answer of a verb to `body`; null: nothing is asked yet. */
export function useLive<Name extends Verb>(verb: Name, body: Verbs[Name]['asks'] | null): Live<Verbs[Name]['gives']> {
  const text = body == null ? '' : JSON.stringify(body);
  const [rested] = useDebouncedValue(text, PAUSE_MILLISECONDS[verb]);
  const settled = rested === '' ? text : rested; // the first question is not held up
  const query = useQuery({ ...questionOf(verb, settled), enabled: settled !== '' });
  const [last, setLast] = useState(query.data);
  if (query.data !== undefined && query.data !== last) setLast(query.data);
  const data = query.data ?? last;
  return {
    data,
    isStale: data !== undefined && (settled !== text || query.data === undefined),
    isWaiting: settled !== text || query.isFetching,
    problem: settled === text && query.error instanceof Problem ? query.error : null,
    retry: () => void query.refetch(),
  };
}

/** The same question, to be asked without a component. */
export function liveQuery<Name extends Verb>(verb: Name, body: Verbs[Name]['asks']) {
  return questionOf(verb, JSON.stringify(body));
}

function questionOf<Name extends Verb>(verb: Name, body: string) {
  return queryOptions({
    queryKey: [verb, body],
    queryFn: ({ signal }) => ask(verb, body, signal),
    staleTime: Infinity, // the same question has the same answer
    retry: (count, problem) => problem instanceof Problem && problem.isPassing && count < 3,
  });
}

async function ask<Name extends Verb>(verb: Name, body: string, signal: AbortSignal): Promise<Verbs[Name]['gives']> {
  // All verbs have one form: the type of each body and answer is held by `Verbs`.
  const post = api.POST as (path: string, init: object) => Promise<{ data?: unknown; response: Response }>;
  return (await answer(post(`/api/v1/${verb}`, { body: JSON.parse(body) as unknown, signal }))) as Verbs[Name]['gives'];
}
