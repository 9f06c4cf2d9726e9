import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat, useTerm } from '@/i18n/useLanguage';
import type { Meaning } from '@/theme/palette';
import { Chart } from '@/ui/Chart';
import { Panel } from '@/ui/Panel';

import { taskQueries, untilOver, type Task } from '../queries';
import classes from './TaskView.module.css';

type Sample = Schemas['TaskSamples']['samples'][number];

/** Loss and throughput by step, as the lowest rank tells them. */
export function Curves({ task, number }: { task: Task; number: number }) {
  const predicted = task.prediction?.tokens_per_second;
  return (
    <div className={classes.charts}>
      <Curve task={task} number={number} name="loss" meaning="dp" />
      <Curve task={task} number={number} name="tokens_per_second" meaning="compute" level={predicted} />
    </div>
  );
}

interface CurveProps {
  task: Task;
  number: number;
  name: string;
  meaning: Meaning;
  /** What was predicted, as a line across. */
  level?: number | undefined;
}

function Curve({ task, number, name, meaning, level }: CurveProps) {
  const { t } = useTranslation('tasks');
  const term = useTerm();
  const format = useFormat();
  const { data } = useQuery({ ...taskQueries.samples(task.id, number, name), refetchInterval: untilOver(task) });
  const samples = data?.samples ?? [];
  if (samples.length === 0) return null;
  const steps = samples.map(({ step }) => step);
  const [first, last] = [Math.min(...steps), Math.max(...steps)];
  const title = term('field', name);
  return (
    <Panel title={title}>
      <Chart<Sample>
        label={t('curves.label', { name: title })}
        x={{ name: 'step', title: t('curves.step'), value: ({ step }) => step, domain: [first, last] }}
        y={{ name, title, value: ({ value }) => value }}
        series={[{ key: name, title: t('curves.measured'), meaning, as: 'line', rows: samples }]}
        guides={level == null ? [] : [{ title: t('curves.predicted'), from: [first, level], to: [last, level] }]}
        rows={samples}
        rowKey={({ step, rank }) => `${String(step)} ${String(rank)}`}
        columns={[
          { key: 'step', title: t('curves.step'), isNumber: true, value: ({ step }) => step },
          {
            key: 'value',
            title,
            isNumber: true,
            value: ({ value }) => value,
            cell: ({ value }) => format.field(name, value),
          },
        ]}
      />
    </Panel>
  );
}
