import { useMemo } from 'react';

import type { Schemas } from '@/api/client';
import { useLive } from '@/api/live';
import { useJob } from '@/job/JobContext';
import type { LiveAnswer } from '@/job/useAnswer';

/** What each zone holds of the plan that is looked at; of `zone`, or else of the first, also the nodes. */
export function useRanks(answer: LiveAnswer, zone?: string) {
  const { job } = useJob();
  const plan = answer.isStale ? undefined : answer.chosen?.plan;
  const asked =
    plan == null ? null : { job: job as Schemas['JobFile'], plan: plan as unknown as Record<string, unknown> };
  const ranks = useLive('ranks', asked == null ? null : { ...asked, zone: zone ?? leastAsked(answer.data) });
  const holds = useMemo(() => new Map(ranks.data?.zones.map((each) => [each.zone, each])), [ranks.data]);
  return { ranks, holds };
}

/** The map of all zones needs the nodes of none: those of the first zone are the least that can be asked for. */
function leastAsked(data: Schemas['Answer'] | undefined): string {
  return data?.problem.cluster.zones[0]?.name ?? '';
}
