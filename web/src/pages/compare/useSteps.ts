import { queryOptions, useQuery, type QueryClient } from '@tanstack/react-query';

import { answer, api, type Schemas } from '@/api/client';
import { liveQuery } from '@/api/live';

/** Slices of a step that are asked for at most; four are drawn at first, and a frame has room for 100,000. */
const MOST_SLICES = 25_000;

/** Where the step of a side comes from: a plan of the present job, or what was kept under an id. */
export type Source = { id: string } | Playable;
type Playable = Pick<Schemas['SimulateArguments'], 'job' | 'plan'>;

/** The step of a side; where it was not kept with what it takes to play it, and not measured, both are null. */
export interface SideStep {
  simulation: Schemas['Simulation'] | null;
  measured: Schemas['MeasuredTimeline'] | null;
}

/** A side that is drawn, by its place among all sides. */
export interface Drawn {
  index: number;
  source: Source;
}

export interface Found extends Drawn {
  step: SideStep | Error;
}

/** The steps of some sides, all together: a picture is drawn once. */
export function useSteps(drawn: readonly Drawn[]) {
  return useQuery({
    queryKey: ['compare', 'steps', drawn],
    queryFn: ({ client }) =>
      Promise.all(
        drawn.map(async ({ index, source }): Promise<Found> => {
          const step = client.fetchQuery(stepQuery(source)).catch((problem: unknown) => problem as Error);
          return { index, source, step: await step };
        }),
      ),
    enabled: drawn.length > 0,
    structuralSharing: false, // steps are large, and never change
    staleTime: Infinity,
  });
}

function stepQuery(source: Source) {
  return queryOptions({
    queryKey: ['compare', 'step', source],
    queryFn: async ({ client }): Promise<SideStep> =>
      'id' in source ? keptStep(client, source.id) : { simulation: await played(client, source), measured: null },
    structuralSharing: false,
    staleTime: Infinity,
  });
}

/** A run by its id: played again, since what is kept of it are its numbers; and as it was measured. */
async function keptStep(client: QueryClient, run_id: string): Promise<SideStep> {
  const path = { params: { path: { run_id } } };
  const run = await answer(api.GET('/api/v1/runs/{run_id}', path));
  const job = run.job as Schemas['JobFile'];
  const isPlayable = run.plan != null && Object.keys(run.job).length > 0;
  const [simulation, measured] = await Promise.all([
    isPlayable ? played(client, { job, plan: run.plan ?? {} }) : null,
    run.measurement == null ? null : answer(api.GET('/api/v1/runs/{run_id}/timeline', path)),
  ]);
  return { simulation, measured };
}

function played(client: QueryClient, source: Playable): Promise<Schemas['Simulation']> {
  return client.fetchQuery(liveQuery('simulate', { ...source, detail: MOST_SLICES }));
}
