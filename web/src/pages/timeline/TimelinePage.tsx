import { Button, NativeSelect } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { Download } from 'lucide-react';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import { useLive } from '@/api/live';
import type { Schemas } from '@/api/client';
import { useFormat } from '@/i18n/useLanguage';
import { useJob } from '@/job/JobContext';
import { useAnswer, type RankedPlan } from '@/job/useAnswer';
import { drawnSteps } from '@/lanes/steps';
import { Timeline } from '@/lanes/Timeline';
import { Uses } from '@/lanes/Uses';
import { Empty } from '@/ui/Empty';
import { Loading } from '@/ui/Loading';
import { PageBody } from '@/ui/PageBody';
import { PageHeader } from '@/ui/PageHeader';
import { ProblemPanel } from '@/ui/ProblemPanel';

import { savePerfetto } from './perfetto';
import { MeasuredChoice, MeasuredNote, useMeasured } from './Measured';

/** Slices that are asked for at most; above it, the server merges neighbours. */
const MOST_SLICES = 100_000;

/** One step of the chosen plan: who works, waits and sends when. */
export default function TimelinePage() {
  const { t } = useTranslation('timeline');
  const format = useFormat();
  const { job, choosePlan, chosenPlan } = useJob();
  const answer = useAnswer();
  const asked =
    answer.chosen == null || answer.isStale
      ? null
      : { job: job as Schemas['JobFile'], plan: { ...answer.chosen.plan }, detail: MOST_SLICES };
  const played = useLive('simulate', asked);
  const saved = useMutation({ mutationFn: savePerfetto });
  const problem = answer.problem ?? played.problem ?? saved.error;
  const { data } = played;
  const measured = useMeasured();
  const isStale = data != null && (played.isStale || asked == null);
  return (
    <>
      <PageHeader
        note={
          data == null
            ? undefined
            : t('note', { schedule: data.schedule, seconds: format.field('step_seconds', data.step_seconds) })
        }
      >
        <MeasuredChoice />
        <NativeSelect
          aria-label={t('plan')}
          value={String(chosenPlan)}
          disabled={answer.data == null}
          data={(answer.data?.plans ?? []).map((one, index) => ({ value: String(index), label: nameOf(one, index) }))}
          onChange={(event) => {
            choosePlan(Number(event.currentTarget.value));
          }}
        />
        <Button
          variant="default"
          leftSection={<Download size={14} />}
          disabled={asked == null}
          loading={saved.isPending}
          onClick={() => {
            if (asked != null) saved.mutate({ job: asked.job, plan: asked.plan });
          }}
        >
          {t('perfetto')}
        </Button>
      </PageHeader>
      <PageBody>
        {problem != null && <ProblemPanel problem={problem} onRetry={played.retry} />}
        {answer.data?.plans.length === 0 && <Empty title={t('empty.title')}>{t('empty.why')}</Empty>}
        {data == null && problem == null && answer.data?.plans.length !== 0 && <Loading height={560} />}
        {measured.error != null && <ProblemPanel problem={measured.error} />}
        {data?.detail != null && (
          <>
            {measured.data != null && <MeasuredNote measured={measured.data} simulation={data} />}
            <div data-stale={isStale}>
              <Steps simulation={data} measured={measured.data} />
            </div>
            <Uses simulations={[data]} isStale={isStale} />
          </>
        )}
      </PageBody>
    </>
  );
}

interface StepsProps {
  simulation: Schemas['Simulation'];
  measured: Schemas['MeasuredTimeline'] | undefined;
}

/** The picture: what was predicted, and below it what was measured. */
function Steps({ simulation, measured }: StepsProps) {
  const steps = useMemo(() => drawnSteps(simulation, measured), [simulation, measured]);
  return <Timeline steps={steps} />;
}

function nameOf({ plan }: RankedPlan, index: number): string {
  const degrees = (['tp', 'cp', 'ep', 'pp', 'dp'] as const).filter((axis) => plan[axis] > 1);
  return `${String(index + 1)}: ${degrees.map((axis) => `${axis} ${String(plan[axis])}`).join(' · ')}`;
}
