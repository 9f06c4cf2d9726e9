import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import { useParams } from 'react-router';

import type { Schemas } from '@/api/client';
import { useLive } from '@/api/live';
import { degrees } from '@/job/degrees';
import { useJob } from '@/job/JobContext';
import { useAnswer } from '@/job/useAnswer';
import { Empty } from '@/ui/Empty';
import { Loading } from '@/ui/Loading';
import { PageBody } from '@/ui/PageBody';
import { PageHeader } from '@/ui/PageHeader';
import { ProblemPanel } from '@/ui/ProblemPanel';

import { Breadcrumb } from './Breadcrumb';
import { ClusterView } from './ClusterView';
import { ZoneView } from './ZoneView';

/** Where the training runs: all zones, then the nodes of one, then the GPUs of a node. */
export default function TrainingMapPage() {
  const { t } = useTranslation('map');
  const { zone } = useParams();
  const { job, isBroken } = useJob();
  const answer = useAnswer();
  const { data, chosen } = answer;
  const plan = answer.isStale ? undefined : chosen?.plan;
  const asked =
    plan == null ? null : { job: job as Schemas['JobFile'], plan: plan as unknown as Record<string, unknown> };
  const ranks = useLive('ranks', asked == null ? null : { ...asked, zone: zone ?? leastAsked(data) });
  const holds = useMemo(() => new Map(ranks.data?.zones.map((each) => [each.zone, each])), [ranks.data]);
  const problem = answer.problem ?? ranks.problem;
  return (
    <>
      <PageHeader note={chosen == null ? null : `${chosen.plan.framework} · ${degrees(chosen.plan)}`} />
      <PageBody isBusy={answer.isWaiting}>
        <Breadcrumb />
        {problem != null && <ProblemPanel problem={problem} onRetry={answer.retry} />}
        {data == null ? (
          problem == null && (isBroken ? <Empty title={t('broken')} /> : <Loading height={480} />)
        ) : zone == null ? (
          <ClusterView answer={answer} problem={data.problem} holds={holds} />
        ) : (
          <ZoneView
            name={zone}
            held={holds.get(zone)}
            ranked={chosen}
            isStale={answer.isStale || ranks.isStale}
            isWaiting={ranks.isWaiting || answer.isWaiting}
          />
        )}
      </PageBody>
    </>
  );
}

/** The map of all zones needs the nodes of none: those of the first zone are the least that can be asked for. */
function leastAsked(data: Schemas['Answer'] | undefined): string {
  return data?.problem.cluster.zones[0]?.name ?? '';
}
