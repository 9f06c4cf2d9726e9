import { Button, Menu } from '@mantine/core';
import { useClipboard } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { Check, ChevronDown, FileDown, Link2 } from 'lucide-react';
import { useTranslation } from 'react-i18next';

import { templatesQuery } from '@/api/queries';
import { useFormat } from '@/i18n/useLanguage';
import { useJob } from '@/job/JobContext';
import { useAnswer } from '@/job/useAnswer';
import { PageBody } from '@/ui/PageBody';
import { PageHeader } from '@/ui/PageHeader';
import { ProblemPanel } from '@/ui/ProblemPanel';

import { JobPane } from './JobPane';
import classes from './PlanPage.module.css';
import { Result } from './Result';
import { useReport } from './useReport';

/** The job at the left, in three forms; what comes of it at the right, as it is written. */
export default function PlanPage() {
  const { t } = useTranslation('plan');
  const answer = useAnswer();
  const report = useReport();
  return (
    <>
      <PageHeader note={<Subject />}>
        <Templates />
        <Share />
        <Button
          variant="default"
          title={t('report.why')}
          leftSection={<FileDown size={14} />}
          disabled={answer.data == null || answer.isStale}
          loading={report.isPending}
          onClick={() => {
            report.mutate();
          }}
        >
          {t('report.title')}
        </Button>
      </PageHeader>
      <div className={classes.page}>
        <aside className={classes.job}>
          <JobPane />
        </aside>
        <PageBody isBusy={answer.isWaiting}>
          {report.error != null && <ProblemPanel problem={report.error} onRetry={report.mutate} />}
          <Result answer={answer} />
        </PageBody>
      </div>
    </>
  );
}

/** What is planned: the model, on how many GPUs, in which zones. */
function Subject() {
  const { t } = useTranslation('plan');
  const format = useFormat();
  const problem = useAnswer().data?.problem;
  if (problem == null) return null;
  const zones = format.list(problem.cluster.zones.map(({ name }) => name));
  return t('subject', { model: problem.model.name, zones });
}

function Templates() {
  const { t } = useTranslation('plan');
  const { data } = useQuery(templatesQuery);
  const { setText } = useJob();
  return (
    <Menu position="bottom-end" width={280}>
      <Menu.Target>
        <Button variant="default" rightSection={<ChevronDown size={14} />}>
          {t('templates.title')}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {data?.templates.map((template) => (
          <Menu.Item
            key={template.name}
            onClick={() => {
              setText(template.text);
            }}
          >
            {t(`templates.${template.name}`, { defaultValue: template.title })}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

/** The address, which holds the job. */
function Share() {
  const { t } = useTranslation('plan');
  const { copy, copied } = useClipboard();
  return (
    <Button
      variant="default"
      leftSection={copied ? <Check size={14} /> : <Link2 size={14} />}
      onClick={() => {
        copy(location.href);
      }}
    >
      {t(copied ? 'share.done' : 'share.title')}
    </Button>
  );
}
