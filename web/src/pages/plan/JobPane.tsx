import { Loader, SegmentedControl } from '@mantine/core';
import { useLocalStorage } from '@mantine/hooks';
import { useTranslation } from 'react-i18next';

import { useJob } from '@/job/JobContext';
import { CodeView } from '@/ui/CodeView';
import { Loading } from '@/ui/Loading';
import { ProblemPanel } from '@/ui/ProblemPanel';

import { Guide } from './Guide';
import { JobErrors } from './JobErrors';
import { JobForm } from './JobForm';
import classes from './JobPane.module.css';

type View = 'guide' | 'form' | 'yaml';
const VIEWS: readonly View[] = ['guide', 'form', 'yaml'];

/** The job as questions, as a form, and as the text of its file: the same job. */
export function JobPane() {
  const { t } = useTranslation('plan');
  const [view, setView] = useLocalStorage<View>({
    key: 'crosszone.view',
    defaultValue: 'form',
    getInitialValueInEffect: false,
  });
  const { isSyncing } = useJob();
  return (
    <div className={classes.pane}>
      <div className={classes.head}>
        <SegmentedControl
          aria-label={t('views.label')}
          value={view}
          data={VIEWS.map((value) => ({ value, label: t(`views.${value}`) }))}
          onChange={setView}
        />
        {isSyncing && <Loader size={14} aria-label={t('syncing')} />}
      </div>
      {view === 'yaml' && <YamlView />}
      {view === 'form' && <FormView />}
      {view === 'guide' && (
        <Guide
          onDone={() => {
            setView('form');
          }}
        />
      )}
    </div>
  );
}

function FormView() {
  const { job, problem } = useJob();
  if (Object.keys(job).length === 0) return problem == null ? <Loading /> : <ProblemPanel problem={problem} />;
  return (
    <div className={classes.scroll}>
      <JobErrors />
      <JobForm />
    </div>
  );
}

function YamlView() {
  const { t } = useTranslation('plan');
  const { text, setText } = useJob();
  return (
    <div className={classes.yaml}>
      <JobErrors />
      <CodeView text={text} language="yaml" label={t('views.yaml')} onChange={setText} />
    </div>
  );
}
