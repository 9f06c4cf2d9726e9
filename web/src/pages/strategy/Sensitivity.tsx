import { Button, Group, Progress, Text, Tooltip } from '@mantine/core';
import { Fragment } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useOperation } from '@/api/operation';
import { useFormat } from '@/i18n/useLanguage';
import { useJob } from '@/job/JobContext';
import { Empty } from '@/ui/Empty';
import { Panel } from '@/ui/Panel';
import { ProblemPanel } from '@/ui/ProblemPanel';

import { Words } from './PlanWords';
import classes from './Strategy.module.css';

type Row = Schemas['Sensitivity'];

/** What other links, nodes, GPUs and batches are worth, each with the best plan that it would have. */
export function Sensitivity() {
  const { t } = useTranslation('strategy');
  const format = useFormat();
  const { job, isBroken } = useJob();
  const body = isBroken ? null : { job: job as Schemas['JobFile'], sensitivity: true, top: 1 };
  const { data, state, isRunning, problem, start, cancel } = useOperation<Schemas['Answer']>('plan', body);
  const progress = state?.progress_fraction ?? null;
  const step = format.field('step_seconds', data?.plans[0]?.prediction.step_seconds);
  return (
    <Panel
      title={t('sensitivity.title')}
      note={data == null || isRunning ? undefined : t('sensitivity.step', { seconds: step })}
      aside={
        isRunning && (
          <Button variant="default" onClick={cancel}>
            {t('sensitivity.cancel')}
          </Button>
        )
      }
    >
      {problem != null && <ProblemPanel problem={problem} onRetry={start} />}
      {isRunning && (
        <div style={{ padding: '48px 0', maxWidth: 460, margin: '0 auto' }}>
          <Text size="sm" ta="center" mb={8} aria-live="polite">
            {progress == null
              ? t('sensitivity.begun')
              : t('sensitivity.done', { fraction: format.field('fraction', progress) })}
          </Text>
          <Progress value={100 * (progress ?? 0)} animated={progress == null} aria-label={t('sensitivity.title')} />
        </div>
      )}
      {!isRunning && data == null && problem == null && (
        <Empty title={t('sensitivity.empty')}>
          {t('sensitivity.why')}
          <Group justify="center" mt="sm">
            <Button onClick={start} disabled={body == null}>
              {t('sensitivity.start')}
            </Button>
          </Group>
        </Empty>
      )}
      {!isRunning && data != null && <Tornado rows={data.sensitivity ?? []} />}
    </Panel>
  );
}

/** Bars from the middle: to the right what a change saves of the step, to the left what it costs. */
export function Tornado({ rows }: { rows: readonly Row[] }) {
  const { t } = useTranslation('strategy');
  const format = useFormat();
  const most = Math.max(...rows.map((row) => Math.abs(row.saved_fraction ?? 0)), 1e-9);
  return (
    <div className={classes.bars} role="group" aria-label={t('sensitivity.title')}>
      {rows.map((row) => {
        const size = `${String((50 * Math.abs(row.saved_fraction ?? 0)) / most)}%`;
        const isGain = (row.saved_fraction ?? 0) >= 0;
        const place = isGain ? { left: '50%' } : { right: '50%' };
        return (
          <Fragment key={row.change}>
            <span className={classes.label} title={row.change}>
              <Words>{row.change}</Words>
            </span>
            <div className={classes.lane}>
              <div
                className={classes.bar}
                style={{ left: '50%', width: 1, minWidth: 1, background: 'var(--cz-line)' }}
              />
              <Tooltip label={row.note || t(row.is_same_plan ? 'sensitivity.same' : 'sensitivity.other')}>
                <div
                  className={classes.bar}
                  style={{ ...place, width: size, background: isGain ? 'var(--cz-good)' : 'var(--cz-bad)' }}
                />
              </Tooltip>
            </div>
            <span className={classes.value}>
              {row.plan == null ? (
                <Words isDimmed>{row.note}</Words>
              ) : (
                <>
                  {format.field('saved_fraction', row.saved_fraction)}{' '}
                  <span className={classes.dim}>{format.field('seconds', row.seconds_saved)}</span>
                </>
              )}
            </span>
          </Fragment>
        );
      })}
    </div>
  );
}
