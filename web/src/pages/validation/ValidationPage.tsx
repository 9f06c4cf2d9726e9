import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import { accuracyQuery } from '@/api/queries';
import { Loading } from '@/ui/Loading';
import { PageBody } from '@/ui/PageBody';
import { PageHeader } from '@/ui/PageHeader';
import { ProblemPanel } from '@/ui/ProblemPanel';

import { OwnRuns } from './OwnRuns';
import { PublishedRuns } from './PublishedRuns';

/** How near predictions were to what was measured: on published runs, and on one's own. */
export default function ValidationPage() {
  const { t } = useTranslation('validation');
  const { data, error, refetch } = useQuery(accuracyQuery);
  return (
    <>
      <PageHeader note={t('note')} />
      <PageBody>
        <OwnRuns />
        {error != null && <ProblemPanel problem={error} onRetry={() => void refetch()} />}
        {data == null && error == null && <Loading height={640} />}
        {data != null && <PublishedRuns accuracy={data} />}
      </PageBody>
    </>
  );
}
