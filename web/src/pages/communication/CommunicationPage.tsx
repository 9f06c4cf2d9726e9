import { useState } from 'react';

import { useJob } from '@/job/JobContext';
import { degrees } from '@/job/degrees';
import { PageBody } from '@/ui/PageBody';
import { PageHeader } from '@/ui/PageHeader';

import { Analysis } from './Analysis';
import classes from './CommunicationPage.module.css';
import { ControlsPane } from './ControlsPane';
import type { Settings } from './controls';
import { useWhatIf } from './useWhatIf';

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
