import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat, useTerm } from '@/i18n/useLanguage';
import { Panel } from '@/ui/Panel';
import { State } from '@/ui/State';

import { taskQueries, untilOver, type Task } from '../queries';
import classes from './Ranks.module.css';

type Part = Schemas['Part'];

/** Each rank as a cell under its node: how it stands, and how long its newest step took beside the others. */
export function Ranks({ task, tried }: { task: Task; tried: Schemas['TriedTask'] }) {
  const { t } = useTranslation('tasks');
  const samples = taskQueries.samples(task.id, tried.attempt.number, 'step_seconds');
  const { data } = useQuery({ ...samples, refetchInterval: untilOver(task) });
  const newest = new Map((data?.samples ?? []).map((sample) => [sample.rank, sample])); // by step: the last one stays
  const values = [...newest.values()].map(({ value }) => value);
  const range = { low: Math.min(...values), high: Math.max(...values) };
  const nodes = tried.parts.filter(({ level }) => level === 'node');
  return (
    <Panel title={t('ranks.title')} aside={<Legend range={range} />}>
      {nodes.map((node) => (
        <div key={node.id} className={classes.node}>
          <div className={classes.name}>
            <span title={node.name}>
              {task.nodes.find((each) => each.environment_id === node.name)?.name ?? node.name}
            </span>
            <State kind="state" value={node.state} />
          </div>
          <div className={classes.cells}>
            {tried.parts
              .filter(({ level, parent_id: parent }) => level === 'rank' && parent === node.id)
              .map((rank) => (
                <Cell key={rank.id} rank={rank} sample={newest.get(Number(rank.name))} range={range} />
              ))}
          </div>
        </div>
      ))}
    </Panel>
  );
}

interface Range {
  low: number;
  high: number;
}

function Cell({
  rank,
  sample,
  range,
}: {
  rank: Part;
  sample: { step: number; value: number } | undefined;
  range: Range;
}) {
  const { t } = useTranslation('tasks');
  const format = useFormat();
  const term = useTerm();
  const text = t('ranks.cell', {
    rank: rank.name,
    state: term('state', rank.state),
    step: sample?.step ?? '–',
    seconds: sample == null ? '–' : format.field('step_seconds', sample.value),
  });
  return (
    <span
      role="img"
      aria-label={text}
      title={text}
      className={classes.cell}
      data-state={rank.state}
      style={{ '--heat': sample == null ? '0%' : heat(sample.value, range) } as React.CSSProperties}
    >
      {rank.name}
    </span>
  );
}

function Legend({ range }: { range: Range }) {
  const { t } = useTranslation('tasks');
  const format = useFormat();
  if (!Number.isFinite(range.low)) return null;
  return (
    <span className={classes.legend}>
      {t('ranks.newest')} {format.field('step_seconds', range.low)}
      <i aria-hidden />
      {format.field('step_seconds', range.high)}
    </span>
  );
}

/** Where a value lies between the fastest and the slowest rank, as a share of colour. */
function heat(value: number, { low, high }: Range): string {
  return high > low ? `${String(10 + (60 * (value - low)) / (high - low))}%` : '10%';
}
