import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import type { RankedPlan } from '@/job/useAnswer';
import { Headline } from '@/pages/plan/Headline';
import { Notes } from '@/pages/plan/Notes';
import { Checks } from '@/pages/strategy/Checks';
import { Verdict } from '@/pages/strategy/Verdict';
import { MemoryPanel } from '@/ui/MemoryPanel';
import { Panel } from '@/ui/Panel';

interface Props {
  answer: Schemas['Answer'];
  /** Undefined where nothing fits. */
  ranked: RankedPlan | undefined;
}

/** What comes of the job, and what it rests on. */
export function PlanSection({ answer, ranked }: Props) {
  const { t } = useTranslation('plan');
  if (ranked == null) {
    return (
      <>
        <Panel title={t('result.nothing')}>
          <p>{answer.verdict}</p>
        </Panel>
        <Notes answer={answer} ranked={ranked} isStale={false} />
      </>
    );
  }
  return (
    <>
      <Headline ranked={ranked} isStale={false} />
      <Verdict answer={answer} isStale={false} />
      <MemoryPanel memory={ranked.prediction.memory} isStale={false} />
      <Checks ranked={ranked} />
      <Notes answer={answer} ranked={ranked} isStale={false} />
    </>
  );
}
