import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import type { RankedPlan } from '@/job/useAnswer';
import { Alternatives } from '@/pages/strategy/Alternatives';
import { Pareto } from '@/pages/strategy/Pareto';
import { choicesOf, RankedPlans } from '@/pages/strategy/RankedPlans';
import { Tornado } from '@/pages/strategy/Sensitivity';
import { Slicing } from '@/pages/strategy/Slicing';
import { Waterfall } from '@/pages/strategy/Waterfall';
import { Panel } from '@/ui/Panel';

interface Props {
  answer: Schemas['Answer'];
  ranked: RankedPlan;
  /** Its place among the ranked, from 1. */
  number: number;
}

/** How the work is split, against other ways, and what would change it. */
export function StrategySection({ answer, ranked, number }: Props) {
  const { t } = useTranslation('strategy');
  return (
    <>
      <RankedPlans choices={choicesOf(answer)} chosen={String(number)} isStale={false} search={answer.search} />
      <Panel title={t('slicing.title')}>
        <Slicing plan={ranked.plan} />
      </Panel>
      <Panel title={t('waterfall.title')}>
        <Waterfall prediction={ranked.prediction} />
      </Panel>
      <Alternatives chosen={ranked} />
      <Panel title={t('sensitivity.title')}>
        <Tornado rows={answer.sensitivity ?? []} />
      </Panel>
      {answer.pareto != null && <Pareto plans={answer.pareto} notes={[]} />}
    </>
  );
}
