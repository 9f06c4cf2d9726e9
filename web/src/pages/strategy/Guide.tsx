import { Button, Group, Skeleton, Text } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat } from '@/i18n/useLanguage';
import { useSettings } from '@/job/useSettings';
import { Panel } from '@/ui/Panel';
import { ProblemPanel } from '@/ui/ProblemPanel';

import { Degrees, Words } from './PlanWords';
import classes from './Strategy.module.css';
import { DATA_PARALLEL, useWhy, type Why } from './useWhy';

/** Ways to split a training, from the simplest on: each is asked of the engine as degrees that it fixes. */
const RUNGS = [
  { key: 'replicated', asked: `${DATA_PARALLEL},shard=none` },
  { key: 'sharded', asked: `${DATA_PARALLEL},shard=parameters` },
  { key: 'tensor', asked: 'pp=1,cp=1,ep=1' },
  { key: 'pipeline', asked: 'tp=1,cp=1,ep=1' },
  { key: 'hybrid', asked: 'cp=1,ep=1' },
] as const;

/** Which way to split this training: the rule of thumb, and what the engine finds for this very job. */
export function Guide({ chosen }: { chosen: Schemas['RankedPlan'] }) {
  const { t } = useTranslation('strategy');
  const settings = useSettings();
  // One after the other: each is a search, and other pages want answers, too.
  const first = useWhy(RUNGS[0].asked);
  const second = useWhy(first.isPending ? null : RUNGS[1].asked);
  const third = useWhy(second.isPending ? null : RUNGS[2].asked);
  const fourth = useWhy(third.isPending ? null : RUNGS[3].asked);
  const fifth = useWhy(fourth.isPending ? null : RUNGS[4].asked);
  const answers = [first, second, third, fourth, fifth];
  return (
    <Panel title={t('guide.title')}>
      <Text size="sm" c="dimmed">
        {t('guide.how')}
      </Text>
      {settings.error != null && <ProblemPanel problem={settings.error} />}
      {RUNGS.map(({ key, asked }, index) => (
        <div key={key} className={classes.rung} data-rung={key}>
          <span className={classes.number}>{index + 1}</span>
          <div>
            <Text size="sm" fw={560}>
              {t(`guide.${key}.name`)}
            </Text>
            <Text size="sm">{t(`guide.${key}.question`)}</Text>
            <Text size="xs" c="dimmed">
              {t(`guide.${key}.rule`)}
            </Text>
          </div>
          <Finding why={answers[index]?.data} problem={answers[index]?.error ?? null} chosen={chosen} />
          <Button
            variant="default"
            disabled={answers[index]?.data?.is_possible !== true}
            loading={settings.isPending}
            onClick={() => {
              settings.mutate(settingsOf(asked));
            }}
          >
            {t('guide.take')}
          </Button>
        </div>
      ))}
    </Panel>
  );
}

/** The degrees that were asked for, fixed in the job; what it had fixed before is free again. */
function settingsOf(asked: string): string[] {
  return ['plan=null', ...asked.split(',').map((part) => `plan.${part}`)];
}

interface FindingProps {
  why: Why | undefined;
  problem: Error | null;
  chosen: Schemas['RankedPlan'];
}

function Finding({ why, problem, chosen }: FindingProps) {
  const { t } = useTranslation('strategy');
  const format = useFormat();
  if (problem != null) return <Words isDimmed>{problem.message}</Words>;
  if (why == null) return <Skeleton height={40} />;
  const isChosen = why.plan?.prediction.fingerprint === chosen.prediction.fingerprint;
  const colour = why.is_possible ? 'good' : 'bad';
  return (
    <div>
      <Group gap={8}>
        <Text size="sm" fw={600} style={{ color: `var(--cz-${colour})` }}>
          {t(isChosen ? 'guide.best' : why.is_possible ? 'why.possible' : 'why.impossible')}
        </Text>
        {why.plan != null && <Degrees plan={why.plan.plan} />}
      </Group>
      {why.is_possible && why.plan != null && (
        <Text size="sm">
          {t('guide.step', { seconds: format.field('step_seconds', why.plan.prediction.step_seconds) })}
          {why.difference != null && !isChosen && (
            <span className={classes.dim}> {format.change('step_seconds', why.difference.step_seconds)}</span>
          )}
        </Text>
      )}
      {!why.is_possible && <Words isDimmed>{why.reasons[0] ?? why.verdict}</Words>}
    </div>
  );
}
