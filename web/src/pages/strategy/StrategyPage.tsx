import { Stack, Tabs } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat } from '@/i18n/useLanguage';
import { useJob } from '@/job/JobContext';
import { useAnswer } from '@/job/useAnswer';
import { Empty } from '@/ui/Empty';
import { Loading } from '@/ui/Loading';
import { MemoryPanel } from '@/ui/MemoryPanel';
import { PageBody } from '@/ui/PageBody';
import { PageHeader } from '@/ui/PageHeader';
import { Panel } from '@/ui/Panel';
import { ProblemPanel } from '@/ui/ProblemPanel';

import { Alternatives } from './Alternatives';
import { Checks } from './Checks';
import { Frameworks } from './Frameworks';
import { Guide } from './Guide';
import { Pareto } from './Pareto';
import { Words, WordList } from './PlanWords';
import { BASELINE, choicesOf, RankedPlans, type Choice } from './RankedPlans';
import { Sensitivity } from './Sensitivity';
import { Slicing } from './Slicing';
import classes from './Strategy.module.css';
import { Techniques } from './Techniques';
import { Verdict } from './Verdict';
import { Waterfall } from './Waterfall';
import { WhyBox } from './WhyBox';

type Answer = Schemas['Answer'];

export default function StrategyPage() {
  const { t } = useTranslation('strategy');
  const format = useFormat();
  const { data, isStale, problem, retry } = useAnswer();
  const first = data?.plans[0];
  const note =
    first == null
      ? undefined
      : t('note', { model: data?.problem.model.name, gpus: format.field('num_gpus', first.prediction.num_gpus) });
  return (
    <>
      <PageHeader note={note} />
      <PageBody>
        {problem != null && <ProblemPanel problem={problem} onRetry={retry} />}
        {data == null && problem == null && <Loading height={520} />}
        {data != null && <Answered answer={data} isStale={isStale} />}
      </PageBody>
    </>
  );
}

function Answered({ answer, isStale }: { answer: Answer; isStale: boolean }) {
  const { t } = useTranslation('strategy');
  const { chosenPlan, choosePlan } = useJob();
  const [isBaseline, setIsBaseline] = useState(false);
  const choices = choicesOf(answer);
  const key = isBaseline && choices.at(-1)?.key === BASELINE ? BASELINE : String(chosenPlan + 1);
  const chosen = choices.find((choice) => choice.key === key) ?? choices[0];
  return (
    <>
      <Verdict answer={answer} isStale={isStale} />
      {chosen == null ? (
        <Panel title={t('rejected.title')}>
          <Empty title={t('rejected.empty')}>{t('rejected.why')}</Empty>
          <Rejected answer={answer} />
        </Panel>
      ) : (
        <>
          <RankedPlans
            choices={choices}
            chosen={chosen.key}
            isStale={isStale}
            search={answer.search}
            onChoose={(next) => {
              setIsBaseline(next === BASELINE);
              if (next !== BASELINE) choosePlan(Number(next) - 1);
            }}
          />
          <Details answer={answer} chosen={chosen} isStale={isStale} />
        </>
      )}
    </>
  );
}

const TABS = ['plan', 'step', 'alternatives', 'sensitivity', 'checks', 'guide'] as const;

function Details({ answer, chosen, isStale }: { answer: Answer; chosen: Choice; isStale: boolean }) {
  const { t } = useTranslation('strategy');
  const { ranked } = chosen;
  const open = ranked.checks.filter((check) => check.verdict !== 'pass').length;
  return (
    <Tabs defaultValue="plan" keepMounted={false}>
      <Tabs.List mb="md" style={{ flexWrap: 'nowrap', overflowX: 'auto', overflowY: 'hidden' }}>
        {TABS.map((tab) => (
          <Tabs.Tab key={tab} value={tab} style={{ whiteSpace: 'nowrap' }}>
            {tab === 'checks' ? t('tab.checks', { count: open }) : t(`tab.${tab}`)}
          </Tabs.Tab>
        ))}
      </Tabs.List>
      <Tabs.Panel value="plan">
        <PlanTab answer={answer} chosen={chosen} isStale={isStale} />
      </Tabs.Panel>
      <Tabs.Panel value="step">
        <div className={classes.pair}>
          <Panel title={t('waterfall.title')} isStale={isStale}>
            <Waterfall prediction={ranked.prediction} />
          </Panel>
          <MemoryPanel memory={ranked.prediction.memory} isStale={isStale} />
        </div>
      </Tabs.Panel>
      <Tabs.Panel value="alternatives">
        <Alternatives chosen={ranked} />
      </Tabs.Panel>
      <Tabs.Panel value="sensitivity">
        <Stack gap="md">
          <Techniques problem={answer.problem} plan={ranked.plan} isStale={isStale} />
          <Sensitivity />
          {answer.pareto != null && <Pareto plans={answer.pareto} notes={answer.notes} />}
        </Stack>
      </Tabs.Panel>
      <Tabs.Panel value="checks">
        <Checks ranked={ranked} />
      </Tabs.Panel>
      <Tabs.Panel value="guide">
        <Stack gap="md">
          <Guide chosen={ranked} />
          <WhyBox />
          <Frameworks />
        </Stack>
      </Tabs.Panel>
    </Tabs>
  );
}

function PlanTab({ answer, chosen, isStale }: { answer: Answer; chosen: Choice; isStale: boolean }) {
  const { t } = useTranslation('strategy');
  const isFirst = chosen.key === '1';
  const runnerUp = answer.runner_up;
  return (
    <Stack gap="md">
      <Panel title={t('slicing.title')} isStale={isStale}>
        <Slicing plan={chosen.ranked.plan} />
      </Panel>
      <div className={classes.pair}>
        <Panel title={t('reasons.title')} isStale={isStale}>
          <WordList items={chosen.ranked.reasons} />
        </Panel>
        <Panel title={t('reasons.limits')} isStale={isStale}>
          {isFirst && <WordList items={answer.binding.map(({ message }) => message)} />}
          {isFirst && runnerUp != null && (
            <p>
              {t('reasons.second')}
              <Words>{runnerUp.difference.message}</Words>
            </p>
          )}
          {answer.restriction != null && <Words>{answer.restriction.message}</Words>}
          <Rejected answer={answer} />
        </Panel>
      </div>
    </Stack>
  );
}

/** Neighbours of the best plan that cannot work, each with the rule that it breaks. */
function Rejected({ answer }: { answer: Answer }) {
  const isTold = (reason: string) => answer.binding.some(({ message }) => message.includes(reason));
  const reasons = answer.rejected.flatMap(({ reasons }) => reasons.slice(0, 1)).filter((reason) => !isTold(reason));
  return <WordList items={[...new Set(reasons)].slice(0, 5)} />;
}
