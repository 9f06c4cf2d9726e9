import { useTranslation } from 'react-i18next';
import { useNavigate, useParams } from 'react-router';

import { degrees } from '@/job/degrees';
import { useJob } from '@/job/JobContext';
import { useAnswer } from '@/job/useAnswer';
import { Empty } from '@/ui/Empty';
import { Loading } from '@/ui/Loading';
import { PageBody } from '@/ui/PageBody';
import { PageHeader } from '@/ui/PageHeader';
import { ProblemPanel } from '@/ui/ProblemPanel';

import { Breadcrumb, zonePath } from './Breadcrumb';
import { ClusterView } from './ClusterView';
import { useRanks } from './useRanks';
import { ZoneView } from './ZoneView';

/** Where the training runs: all zones, then the nodes of one, then the GPUs of a node. */
export default function TrainingMapPage() {
  const { t } = useTranslation('map');
  const { zone } = useParams();
  const go = useNavigate();
  const { isBroken } = useJob();
  const answer = useAnswer();
  const { data, chosen } = answer;
  const { ranks, holds } = useRanks(answer, zone);
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
          <ClusterView
            answer={answer}
            problem={data.problem}
            holds={holds}
            onOpen={(chosenZone) => void go(zonePath(chosenZone))}
          />
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
