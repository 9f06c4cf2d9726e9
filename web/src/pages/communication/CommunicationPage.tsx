import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useJob } from '@/job/JobContext';
import { degrees } from '@/job/degrees';
import { Empty } from '@/ui/Empty';
import { Loading } from '@/ui/Loading';
import { PageBody } from '@/ui/PageBody';
import { PageHeader } from '@/ui/PageHeader';
import { ProblemPanel } from '@/ui/ProblemPanel';

import { AdvicePanel } from './AdvicePanel';
import classes from './CommunicationPage.module.css';
import { ControlsPane } from './ControlsPane';
import type { Settings } from './controls';
import { GroupsPanel } from './GroupsPanel';
import { LinksPanel } from './LinksPanel';
import { RegimePanel } from './RegimePanel';
import { TermsPanel } from './TermsPanel';
import { Totals } from './Totals';
import { useWhatIf, type Tried } from './useWhatIf';

const NOTHING: Settings = {};

/** What ranks send each other, what of it the step waits for, and what would change that. */
export default function CommunicationPage() {
  const { text } = useJob();
  const [kept, keep] = useState<{ settings: Settings; of: string }>({ settings: NOTHING, of: text });
  const settings = kept.of === text ? kept.settings : NOTHING; // another job begins without changes
  const setSettings = (next: Settings) => {
    keep({ settings: next, of: text });
  };
  const tried = useWhatIf(settings);
  const chosen = tried.answer.chosen;
  return (
    <>
      <PageHeader note={chosen == null ? null : `${chosen.plan.framework} · ${degrees(chosen.plan)}`} />
      <div className={classes.page}>
        <PageBody isBusy={tried.changed.isWaiting}>
          <Analysis tried={tried} onTry={setSettings} />
        </PageBody>
        <aside className={classes.controls}>
          <ControlsPane tried={tried} settings={settings} onChange={setSettings} />
        </aside>
      </div>
    </>
  );
}

function Analysis({ tried, onTry }: { tried: Tried; onTry: (settings: Settings) => void }) {
  const { t } = useTranslation('communication');
  const { isBroken } = useJob();
  const { answer, changed, base } = tried;
  const { data, problem } = changed;
  if (answer.data != null && answer.chosen == null) return <Empty title={t('nothing')}>{answer.data.verdict}</Empty>;
  const found = problem ?? answer.problem;
  const shown = found == null ? null : <ProblemPanel problem={found} onRetry={changed.retry} />;
  if (data == null) return shown ?? (isBroken ? <Empty title={t('broken')} /> : <Loading height={560} />);
  const isStale = changed.isStale || answer.isStale || problem != null;
  return (
    <>
      {shown}
      <Totals tried={tried} prediction={data.changed} isStale={isStale} />
      <div className={classes.pair}>
        <RegimePanel regime={data.regime} slopes={data.base_regime.slopes} isStale={isStale} />
        <AdvicePanel advice={base.data?.advice ?? []} isStale={base.isStale || answer.isStale} onTry={onTry} />
      </div>
      <GroupsPanel tried={tried} prediction={data.changed} isStale={isStale} />
      <LinksPanel tried={tried} prediction={data.changed} isStale={isStale} />
      <TermsPanel tried={tried} prediction={data.changed} isStale={isStale} />
    </>
  );
}
