import { Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { useSearchParams } from 'react-router';

import { answer, api, type Schemas } from '@/api/client';
import { useLive } from '@/api/live';
import { useJob } from '@/job/JobContext';
import { useAnswer } from '@/job/useAnswer';
import { Empty } from '@/ui/Empty';
import { Loading } from '@/ui/Loading';
import { PageBody } from '@/ui/PageBody';
import { PageHeader } from '@/ui/PageHeader';
import { ProblemPanel } from '@/ui/ProblemPanel';

import { SavedRuns } from './SavedRuns';
import { SideBySideView } from './SideBySideView';

const FEWEST = 2;

/** Saved plans and runs side by side; where none are chosen, the ranked plans of the present job. */
export default function ComparePage() {
  const { t } = useTranslation('compare');
  const [parameters] = useSearchParams();
  const ids = parameters.getAll('id');
  return (
    <>
      <PageHeader note={t(ids.length < FEWEST ? 'ofJob' : 'ofSaved', { count: ids.length })} />
      <PageBody>
        <SavedRuns />
        {ids.length === 1 && <Text size="sm">{t('one')}</Text>}
        {ids.length < FEWEST ? <OfJob /> : <OfSaved ids={ids} />}
      </PageBody>
    </>
  );
}

function OfJob() {
  const { t } = useTranslation('compare');
  const ranked = useAnswer();
  const plans = ranked.data?.plans ?? [];
  const { job } = useJob();
  const sources = ranked.isStale
    ? []
    : plans.map(({ plan }) => ({ job: job as Schemas['JobFile'], plan: { ...plan } }));
  const results = plans.map(({ plan, prediction }) => ({ problem: ranked.data?.problem, ...prediction, plan }));
  const names = plans.map((_, index) => t('rank', { rank: index + 1 }));
  const live = useLive('compare', plans.length < FEWEST ? null : { results, names });
  if (ranked.problem != null) return <ProblemPanel problem={ranked.problem} onRetry={ranked.retry} />;
  if (ranked.data != null && plans.length < FEWEST) return <Empty title={t('few.title')}>{t('few.why')}</Empty>;
  if (live.problem != null) return <ProblemPanel problem={live.problem} onRetry={live.retry} />;
  if (live.data == null) return <Loading height={640} />;
  return <SideBySideView found={live.data} sources={sources} isStale={ranked.isStale || live.isStale} />;
}

function OfSaved({ ids }: { ids: string[] }) {
  const { data, error, isPlaceholderData, refetch } = useQuery({
    queryKey: ['runs', 'compare', ids],
    queryFn: () => answer(api.GET('/api/v1/runs/compare', { params: { query: { id: ids } } })),
    placeholderData: (before: Schemas['SideBySide'] | undefined) => before,
  });
  if (error != null) return <ProblemPanel problem={error} onRetry={() => void refetch()} />;
  if (data == null) return <Loading height={640} />;
  return (
    <SideBySideView
      found={data}
      sources={isPlaceholderData ? [] : ids.map((id) => ({ id }))}
      isStale={isPlaceholderData}
    />
  );
}
