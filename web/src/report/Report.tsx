import { MantineProvider, Title } from '@mantine/core';
import { QueryClientProvider } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { ErrorBoundary } from '@/app/ErrorBoundary';
import { queries } from '@/app/queries';
import { useFormat } from '@/i18n/useLanguage';
import { useAnswer, type LiveAnswer, type RankedPlan } from '@/job/useAnswer';
import { cssVariables, theme } from '@/theme/theme';
import { CodeView } from '@/ui/CodeView';
import { Loading } from '@/ui/Loading';
import { Panel } from '@/ui/Panel';
import { ProblemPanel } from '@/ui/ProblemPanel';
import { Sentence } from '@/ui/Sentence';

import { CommunicationSection } from './CommunicationSection';
import type { Content } from './content';
import { FixedJob } from './FixedJob';
import { Header } from './Header';
import { MapSection } from './MapSection';
import { PlanSection } from './PlanSection';
import classes from './Report.module.css';
import { SECTIONS, type SectionName } from './sections';
import { StrategySection } from './StrategySection';
import { TimelineSection } from './TimelineSection';

/** All that the pages of a plan show of it, one below the other. */
export function Report({ content }: { content: Content }) {
  return (
    <MantineProvider theme={theme} cssVariablesResolver={cssVariables} defaultColorScheme="auto">
      <QueryClientProvider client={queries}>
        <ErrorBoundary>
          <FixedJob content={content}>
            <Document content={content} />
          </FixedJob>
        </ErrorBoundary>
      </QueryClientProvider>
    </MantineProvider>
  );
}

function Document({ content }: { content: Content }) {
  const answer = useAnswer();
  const { data, chosen, problem } = answer;
  const sections: Partial<Record<SectionName, ReactNode>> = {
    ...(data == null ? {} : { plan: <PlanSection answer={data} ranked={chosen} /> }),
    ...(data == null || chosen == null ? {} : ofPlan(answer, chosen, content)),
    job: <JobFile text={content.text} />,
  };
  const shown = SECTIONS.filter((name) => sections[name] != null);
  return (
    <>
      <Header sections={shown} />
      <main className={classes.main}>
        <Fixed content={content} />
        {problem != null && <ProblemPanel problem={problem} />}
        {data == null && problem == null && <Loading height={640} />}
        {shown.map((name) => (
          <Section key={name} name={name}>
            {sections[name]}
          </Section>
        ))}
      </main>
    </>
  );
}

/** What there is where anything fits. */
function ofPlan(answer: LiveAnswer, chosen: RankedPlan, content: Content) {
  const { data } = answer;
  if (data == null) return {};
  return {
    strategy: <StrategySection answer={data} ranked={chosen} number={content.chosen} />,
    map: <MapSection answer={answer} problem={data.problem} />,
    communication: <CommunicationSection />,
    timeline: <TimelineSection chosen={chosen} mostSlices={content.most_slices} />,
  };
}

function Section({ name, children }: { name: SectionName; children: ReactNode }) {
  const { t } = useTranslation('report');
  return (
    <section id={name} aria-labelledby={`${name}-title`} className={classes.section}>
      <Title order={1} id={`${name}-title`}>
        {t(`section.${name}`)}
      </Title>
      {children}
    </section>
  );
}

/** When and by what its numbers were made, and that they stay. */
function Fixed({ content }: { content: Content }) {
  const { t } = useTranslation('report');
  const format = useFormat();
  return (
    <p className={classes.fixed}>
      <Sentence>{t('fixed', { moment: format.moment(content.created_seconds), version: content.version })}</Sentence>
    </p>
  );
}

function JobFile({ text }: { text: string }) {
  const { t } = useTranslation('report');
  return (
    <Panel title={t('jobFile')}>
      <CodeView text={text} language="yaml" label={t('jobFile')} />
    </Panel>
  );
}
