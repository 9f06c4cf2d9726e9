import type { Schemas } from '@/api/client';
import type { LiveAnswer } from '@/job/useAnswer';
import { ClusterView } from '@/pages/map/ClusterView';
import { useRanks } from '@/pages/map/useRanks';
import { ProblemPanel } from '@/ui/ProblemPanel';

/** Where the plan runs, and what crosses the links. */
export function MapSection({ answer, problem }: { answer: LiveAnswer; problem: Schemas['Problem'] }) {
  const { ranks, holds } = useRanks(answer);
  return (
    <>
      {ranks.problem != null && <ProblemPanel problem={ranks.problem} />}
      <ClusterView answer={answer} problem={problem} holds={holds} />
    </>
  );
}
