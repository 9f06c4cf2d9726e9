import { Button, Group, Progress, Text } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useOperation } from '@/api/operation';
import { useFormat } from '@/i18n/useLanguage';
import { useJob } from '@/job/JobContext';
import { DataTable, type Column } from '@/ui/DataTable';
import { Empty } from '@/ui/Empty';
import { Panel } from '@/ui/Panel';
import { ProblemPanel } from '@/ui/ProblemPanel';

import { Degrees, Words } from './PlanWords';
import classes from './Strategy.module.css';

type Option = Schemas['FrameworkOption'];

/** Which framework can express the plan, and what the best plan of each takes. */
export function Frameworks() {
  const { t } = useTranslation('strategy');
  const { job, isBroken } = useJob();
  const body = isBroken ? null : { job: job as Schemas['JobFile'], frameworks: true };
  const { data, state, isRunning, problem, start } = useOperation<Schemas['FrameworkChoice']>('plan', body);
  return (
    <Panel title={t('frameworks.title')}>
      {problem != null && <ProblemPanel problem={problem} onRetry={start} />}
      {isRunning && (
        <Progress value={100 * (state?.progress_fraction ?? 0)} my="xl" aria-label={t('frameworks.title')} />
      )}
      {!isRunning && data == null && (
        <Empty title={t('frameworks.empty')}>
          {t('frameworks.why')}
          <Group justify="center" mt="sm">
            <Button onClick={start} disabled={body == null}>
              {t('frameworks.start')}
            </Button>
          </Group>
        </Empty>
      )}
      {!isRunning && data != null && <Options data={data} />}
    </Panel>
  );
}

function Options({ data }: { data: Schemas['FrameworkChoice'] }) {
  const { t } = useTranslation('strategy');
  const format = useFormat();
  const columns: Column<Option>[] = [
    {
      key: 'framework',
      title: t('field.framework'),
      value: (option) => option.framework,
      cell: (option) => (
        <Text component="span" size="sm" fw={option.framework === data.recommended ? 620 : 400}>
          {option.framework}
        </Text>
      ),
    },
    {
      key: 'plan',
      title: t('frameworks.best'),
      value: (option) => option.best?.plan.dp,
      cell: (option) =>
        option.best == null ? (
          <span className={classes.wrapped}>
            <Words isDimmed>{option.obstacles[0] ?? ''}</Words>
          </span>
        ) : (
          <Degrees plan={option.best.plan} />
        ),
    },
    {
      key: 'step_seconds',
      title: t('field.step_seconds'),
      value: (option) => option.best?.prediction.step_seconds,
      cell: (option) => (option.best == null ? '–' : format.field('step_seconds', option.best.prediction.step_seconds)),
      isNumber: true,
    },
    {
      key: 'more_fraction',
      title: t('frameworks.more'),
      value: (option) => option.more_fraction,
      cell: (option) => (option.more_fraction == null ? '–' : format.change('more_fraction', option.more_fraction)),
      isNumber: true,
    },
    {
      key: 'as_chosen',
      title: t('frameworks.expresses'),
      value: (option) => option.as_chosen != null,
      cell: (option) =>
        option.as_chosen == null ? (
          <span title={option.reasons.join('\n')}>{format.field('', false)}</span>
        ) : (
          format.field('', true)
        ),
    },
    {
      key: 'can_deploy',
      title: t('frameworks.deploys'),
      value: (option) => option.can_deploy,
      cell: (option) => format.field('', option.can_deploy),
    },
  ];
  return (
    <>
      <Words>{data.verdict}</Words>
      <DataTable
        label={t('frameworks.title')}
        rows={data.options}
        columns={columns}
        rowKey={(option) => option.framework}
      />
    </>
  );
}
