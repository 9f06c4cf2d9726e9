import { useMemo } from 'react';

import type { Schemas } from '@/api/client';
import { useLive, type Live } from '@/api/live';
import { useJob } from '@/job/JobContext';
import { useAnswer, type LiveAnswer } from '@/job/useAnswer';

import { settingTexts, type Settings } from './controls';

export type Change = Schemas['Change'];

export interface Tried {
  answer: LiveAnswer;
  /** The job with what is set, beside the job. */
  changed: Live<Schemas['WhatIf']>;
  /** The job as it is: all that bounds it, and what would save most. */
  base: Live<Schemas['WhatIf']>;
  /** What became of a number of the prediction, by its place: "links[a,b].step_bytes". */
  change: (name: string) => Change | undefined;
}

/** The plan that all pages look at, with `settings` in its job. */
export function useWhatIf(settings: Settings): Tried {
  const { job } = useJob();
  const answer = useAnswer();
  const plan = answer.isStale ? undefined : answer.chosen?.plan;
  const asked =
    plan == null ? null : { job: job as Schemas['JobFile'], plan: plan as unknown as Record<string, unknown> };
  const base = useLive('whatif', asked);
  const texts = settingTexts(settings);
  const tried = useLive('whatif', asked == null || texts.length === 0 ? null : { ...asked, set: texts });
  // Until the first answer, the numbers are still those of the base: behind the inputs.
  const ofBase = { ...tried, data: base.data, isStale: base.data !== undefined };
  const changed = texts.length === 0 ? base : tried.data === undefined ? ofBase : tried;
  const byName = useMemo(
    () => new Map(changed.data?.changes.map((each) => [each.name, each] as const)),
    [changed.data],
  );
  return { answer, changed, base, change: (name) => byName.get(name) };
}
