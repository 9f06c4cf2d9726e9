import { Switch } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat } from '@/i18n/useLanguage';
import { Panel } from '@/ui/Panel';
import { State } from '@/ui/State';

import { taskQueries, type Task } from '../queries';
import classes from './TaskView.module.css';

/** Every step of its life, the newest first, each with its cause. */
export function History({ task, tried }: { task: Task; tried: readonly Schemas['TriedTask'][] }) {
  const { t } = useTranslation('tasks');
  const format = useFormat();
  const [isWhole, setWhole] = useState(false);
  const { data } = useQuery(taskQueries.transitions(task.id));
  const shown = (data?.transitions ?? []).filter(({ level }) => isWhole || level === 'task');
  const number = (id: string) => tried.find(({ attempt }) => attempt.id === id)?.attempt.number;
  const aside = (
    <Switch
      size="xs"
      label={t('history.whole')}
      checked={isWhole}
      onChange={(event) => {
        setWhole(event.currentTarget.checked);
      }}
    />
  );
  return (
    <Panel title={t('history.title')} aside={aside}>
      <ol className={classes.history} reversed>
        {shown.toReversed().map((each) => (
          <li key={each.sequence}>
            <time>{format.exactMoment(each.seconds)}</time>
            <State kind="state" value={each.to_state} />
            <span>{each.cause.text === '' ? each.cause.code.replaceAll('_', ' ') : each.cause.text}</span>
            <span className={classes.actor}>
              {`${t(`history.${each.level}`, { name: number(each.subject_id) ?? '' })} · ${each.actor}`}
            </span>
          </li>
        ))}
      </ol>
    </Panel>
  );
}
