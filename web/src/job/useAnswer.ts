import type { Schemas } from '@/api/client';
import { useLive, type Live } from '@/api/live';

import { useJob } from './JobContext';

export type RankedPlan = Schemas['RankedPlan'];
/** How many plans are ranked for every page: one question, asked once. */
const TOP = 5;

export interface LiveAnswer extends Live<Schemas['Answer']> {
  /** The ranked plan that is looked at; undefined where nothing fits, or nothing is known yet. */
  chosen: RankedPlan | undefined;
}

/** The ranked plans for the job of all pages. */
export function useAnswer(): LiveAnswer {
  const { job, isBroken, isSyncing, chosenPlan } = useJob();
  // A job with a mistake is not sent: what is wrong with it is shown beside its fields.
  const isReady = Object.keys(job).length > 0 && !isBroken && !isSyncing;
  const live = useLive('plan', isReady ? planQuestion(job) : null);
  const isStale = live.data != null && (live.isStale || !isReady);
  return { ...live, isStale, isWaiting: live.isWaiting || isSyncing, chosen: live.data?.plans[chosenPlan] };
}

/** What is asked for a job. */
export function planQuestion(job: unknown): Schemas['PlanArguments'] {
  return { job: job as Schemas['JobFile'], top: TOP };
}
