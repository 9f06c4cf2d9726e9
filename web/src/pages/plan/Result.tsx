import { useTranslation } from 'react-i18next';

import { useJob } from '@/job/JobContext';
import type { LiveAnswer } from '@/job/useAnswer';
import { Empty } from '@/ui/Empty';
import { Loading } from '@/ui/Loading';
import { MemoryPanel } from '@/ui/MemoryPanel';
import { Panel } from '@/ui/Panel';
import { ProblemPanel } from '@/ui/ProblemPanel';

import { Headline } from './Headline';
import { Notes } from './Notes';
import { RankedPlans } from './RankedPlans';
import { StepPanel } from './StepPanel';
import { Verdict } from './Verdict';

/** What comes of the job: the chosen plan, and those beside it. Grey while the inputs have changed since. */
export function Result({ answer }: { answer: LiveAnswer }) {
  const { t } = useTranslation('plan');
  const { isBroken } = useJob();
  const { data, chosen, isStale, problem, retry } = answer;
  const shown = problem == null ? null : <ProblemPanel problem={problem} onRetry={retry} />;
  if (data == null) return shown ?? (isBroken ? <Empty title={t('result.broken')} /> : <Loading height={560} />);
  return (
    <>
      {shown}
      {chosen == null ? (
        <Panel title={t('result.nothing')} isStale={isStale}>
          <p>{data.verdict}</p>
        </Panel>
      ) : (
        <>
          <Headline ranked={chosen} isStale={isStale} />
          <Verdict answer={data} isStale={isStale} />
          <RankedPlans answer={data} isStale={isStale} />
          <StepPanel prediction={chosen.prediction} isStale={isStale} />
          <MemoryPanel memory={chosen.prediction.memory} isStale={isStale} />
        </>
      )}
      <Notes answer={data} ranked={chosen} isStale={isStale} />
    </>
  );
}
