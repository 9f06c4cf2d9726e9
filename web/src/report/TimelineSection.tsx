import { useMemo } from 'react';

import type { Schemas } from '@/api/client';
import { useLive } from '@/api/live';
import { useJob } from '@/job/JobContext';
import type { RankedPlan } from '@/job/useAnswer';
import { drawnSteps } from '@/lanes/steps';
import { Timeline } from '@/lanes/Timeline';
import { Uses } from '@/lanes/Uses';
import { Loading } from '@/ui/Loading';
import { ProblemPanel } from '@/ui/ProblemPanel';

/** One step: who works, waits and sends when. */
export function TimelineSection({ chosen, mostSlices }: { chosen: RankedPlan; mostSlices: number }) {
  const { job } = useJob();
  const asked = { job: job as Schemas['JobFile'], plan: { ...chosen.plan }, detail: mostSlices };
  const { data, problem } = useLive('simulate', asked);
  const steps = useMemo(() => drawnSteps(data ?? null, null), [data]);
  if (problem != null) return <ProblemPanel problem={problem} />;
  if (data == null) return <Loading height={480} />;
  return (
    <>
      <Timeline steps={steps} />
      <Uses simulations={[data]} isStale={false} />
    </>
  );
}
