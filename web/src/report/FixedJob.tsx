import { useMemo, type ReactNode } from 'react';

import { JobContext, type JobState } from '@/job/JobContext';

import type { Content } from './content';

/** The job of the report, of which nothing can be changed. */
export function FixedJob({ content, children }: { content: Content; children: ReactNode }) {
  const state = useMemo<JobState>(
    () => ({
      text: content.text,
      job: content.job,
      errors: [],
      isBroken: false,
      problem: null,
      isSyncing: false,
      isFixed: true,
      setText: nothing,
      setValue: nothing,
      chosenPlan: content.chosen - 1,
      choosePlan: nothing,
    }),
    [content],
  );
  return <JobContext value={state}>{children}</JobContext>;
}

function nothing(): void {
  // what would change the job is not shown
}
