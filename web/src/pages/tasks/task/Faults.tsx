import { Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat, useTerm } from '@/i18n/useLanguage';
import { Panel } from '@/ui/Panel';
import { Quantity } from '@/ui/Quantity';
import { State } from '@/ui/State';

import { taskQueries, untilOver, type Task } from '../queries';
import classes from './TaskView.module.css';

type Fault = Schemas['TaskFault'];

/** What went wrong, the newest first: why, and what it cost in steps and in time. */
export function Faults({ task }: { task: Task }) {
  const { t } = useTranslation('tasks');
  // A restart within an attempt is no event of the task.
  const { data } = useQuery({ ...taskQueries.faults(task.id), refetchInterval: untilOver(task) });
  const faults = data?.faults ?? [];
  return (
    <Panel title={t('faults.title')} note={t('faults.count', { count: faults.length })}>
      {data != null && faults.length === 0 && (
        <Text size="sm" c="dimmed">
          {t('faults.nothing')}
        </Text>
      )}
      <ol className={classes.faults} reversed>
        {faults.toReversed().map((fault) => (
          <li key={`${fault.kind} ${String(fault.attempt)} ${String(fault.seconds)}`}>
            <One fault={fault} />
          </li>
        ))}
      </ol>
    </Panel>
  );
}

function One({ fault }: { fault: Fault }) {
  const { t } = useTranslation('tasks');
  const term = useTerm();
  const format = useFormat();
  const { ranks, resumed_step: resumed, num_lost_steps: lost, lost_seconds: seconds, down_seconds: down } = fault;
  return (
    <>
      <p className={classes.faultHead}>
        <State kind="fault" value={fault.kind} />
        <span className={classes.when}>
          {t('task.attempt', { number: fault.attempt })} · <time>{format.exactMoment(fault.seconds)}</time>
        </span>
      </p>
      {fault.text !== '' && (
        <p className={classes.faultText} lang="en">
          {fault.text}
        </p>
      )}
      <dl className={classes.faultFacts}>
        {ranks.length > 0 && <Fact label={t('faults.ranks')}>{format.list(ranks.map(String))}</Fact>}
        {resumed != null && (
          <Fact label={t('faults.resumed')}>
            {resumed === 0 ? t('faults.beginning') : t('faults.fromStep', { step: resumed })}
          </Fact>
        )}
        {lost != null && (
          <Fact label={t('faults.lost')}>
            <data value={lost}>{t('faults.steps', { count: lost })}</data>
            {seconds != null && (
              <>
                {' · '}
                <Quantity name="lost_seconds" value={seconds} />
              </>
            )}
          </Fact>
        )}
        {down != null && (
          <Fact label={term('down', fault.kind)}>
            <Quantity name="down_seconds" value={down} />
          </Fact>
        )}
      </dl>
    </>
  );
}

function Fact({ label, children }: { label: string; children: React.ReactNode }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}
