import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat } from '@/i18n/useLanguage';
import { Panel } from '@/ui/Panel';
import { Sentence } from '@/ui/Sentence';

/** Whether the zones should be spanned at all: the best plan over several beside the best in one. */
export function Verdict({ answer, isStale }: { answer: Schemas['Answer']; isStale: boolean }) {
  const { t } = useTranslation('plan');
  const format = useFormat();
  const { comparison } = answer;
  if (comparison?.spanning == null || comparison.alone == null) return null;
  const side = (outcome: NonNullable<Schemas['Comparison']['spanning']>) => ({
    zones: format.list(outcome.zones),
    gpus: outcome.num_gpus,
    step: format.field('step_seconds', outcome.step_seconds),
  });
  const probability = comparison.faster_probability;
  const told = [
    t('verdict.spanning', side(comparison.spanning)),
    t('verdict.alone', side(comparison.alone)),
    ...(probability == null ? [] : [t('verdict.probability', { value: format.field('probability', probability) })]),
  ];
  const chosen = new Set(answer.plans[0]?.plan.stages.map(({ zone }) => zone));
  return (
    <Panel title={t(chosen.size > 1 ? 'verdict.span' : 'verdict.stay')} isStale={isStale}>
      <p style={{ margin: 0 }}>
        <Sentence>{format.sentences(told)}</Sentence>
      </p>
    </Panel>
  );
}
