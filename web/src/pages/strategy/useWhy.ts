import { useQuery } from '@tanstack/react-query';

import { answer, api, type Schemas } from '@/api/client';
import { Problem } from '@/api/problem';
import { useJob } from '@/job/JobContext';

export type Why = Schemas['Why'];

/** Data parallel alone, whatever is split of its states. */
export const DATA_PARALLEL = 'tp=1,pp=1,cp=1,ep=1';
/** One replica, split over all GPUs. */
export const MODEL_PARALLEL = 'dp=1';

/** Why not a plan with these degrees, asked in the engine's words; null: nothing is asked yet. */
export function useWhy(asked: string | null) {
  const { job, isBroken } = useJob();
  const body = { job: withoutPlan(job) as Schemas['JobFile'], why: asked ?? '' };
  return useQuery({
    queryKey: ['why', JSON.stringify(body)],
    queryFn: async ({ signal }) => (await answer(api.POST('/api/v1/plan', { body, signal }))) as Why,
    enabled: asked != null && asked !== '' && !isBroken && Object.keys(job).length > 0,
    staleTime: Infinity,
    retry: (count, problem) => problem instanceof Problem && problem.isPassing && count < 5,
  });
}

/** What the job fixes of its plan would contradict what is asked. */
function withoutPlan(job: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(job).filter(([key]) => key !== 'plan'));
}
