import { useTranslation } from 'react-i18next';

import { useJob } from '@/job/JobContext';
import { Empty } from '@/ui/Empty';
import { Loading } from '@/ui/Loading';
import { ProblemPanel } from '@/ui/ProblemPanel';

import { AdvicePanel } from './AdvicePanel';
import classes from './CommunicationPage.module.css';
import type { Settings } from './controls';
import { GroupsPanel } from './GroupsPanel';
import { LinksPanel } from './LinksPanel';
import { RegimePanel } from './RegimePanel';
import { TermsPanel } from './TermsPanel';
import { Totals } from './Totals';
import type { Tried } from './useWhatIf';

interface Props {
  tried: Tried;
  /** Set what is advised; without it advice is only told. */
  onTry?: (settings: Settings) => void;
}

/** What is sent, what bounds the step, what would save most. */
export function Analysis({ tried, onTry }: Props) {
  const { t } = useTranslation('communication');
  const { isBroken } = useJob();
  const { answer, changed, base } = tried;
  const { data, problem } = changed;
  if (answer.data != null && answer.chosen == null) return <Empty title={t('nothing')}>{answer.data.verdict}</Empty>;
  const found = problem ?? answer.problem;
  const shown = found == null ? null : <ProblemPanel problem={found} onRetry={changed.retry} />;
  if (data == null) return shown ?? (isBroken ? <Empty title={t('broken')} /> : <Loading height={1180} />);
  const ofJob = data === base.data ? undefined : t('ofJob'); // slopes and advice are worked out for the job alone
  const isStale = changed.isStale || answer.isStale || problem != null;
  return (
    <>
      {shown}
      <Totals tried={tried} prediction={data.changed} isStale={isStale} />
      <div className={classes.pair}>
        <RegimePanel regime={data.regime} slopes={data.base_regime.slopes} note={ofJob} isStale={isStale} />
        <AdvicePanel
          advice={base.data?.advice ?? []}
          isStale={base.isStale || answer.isStale}
          note={ofJob}
          onTry={onTry}
        />
      </div>
      <GroupsPanel tried={tried} prediction={data.changed} isStale={isStale} />
      <LinksPanel tried={tried} prediction={data.changed} isStale={isStale} />
      <TermsPanel tried={tried} prediction={data.changed} isStale={isStale} />
    </>
  );
}
