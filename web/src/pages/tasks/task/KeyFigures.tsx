import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { useFormat, useTerm } from '@/i18n/useLanguage';
import { Quantity } from '@/ui/Quantity';

import { taskQueries, type Task } from '../queries';
import classes from './TaskView.module.css';

/** How far it is, how fast, and what it has cost: what somebody who passes by wants to know. */
export function KeyFigures({ task }: { task: Task }) {
  const { t } = useTranslation('tasks');
  const term = useTerm();
  const format = useFormat();
  const { data } = useQuery(taskQueries.progress(task.id));
  const run = data?.run;
  if (run?.step == null) return null;
  const of = run.run?.num_steps;
  const measured = (name: string) => data?.compared.find((figure) => figure.name === name)?.measured;
  return (
    <div className={classes.key} data-testid="key-figures">
      {of != null && <progress value={run.step} max={of} aria-label={t('key.steps')} />}
      <dl>
        <Figure label={t('key.steps')}>
          <data value={run.step}>{t('key.of', { step: run.step, of: of ?? '?' })}</data>
        </Figure>
        {run.remaining_seconds != null && (
          <Figure label={t('key.remaining')}>{format.span(run.remaining_seconds)}</Figure>
        )}
        <Figure label={term('field', 'step_seconds')}>
          <Quantity name="step_seconds" value={measured('step_seconds') ?? run.step_seconds} />
        </Figure>
        <Figure label={term('field', 'tokens_per_second')}>
          <Quantity name="tokens_per_second" value={measured('tokens_per_second')} />
        </Figure>
        <Figure label={term('field', 'loss')}>
          <Quantity name="loss" value={run.loss} />
        </Figure>
        {data?.spent_dollars != null && (
          <Figure label={t('key.spent')}>
            <Quantity name="spent_dollars" value={data.spent_dollars} />
            {task.budget_dollars != null && (
              <small>{t('key.budget', { budget: format.field('budget_dollars', task.budget_dollars) })}</small>
            )}
          </Figure>
        )}
      </dl>
    </div>
  );
}

function Figure({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}
