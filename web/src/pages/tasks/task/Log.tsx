import { Group, NativeSelect, Switch } from '@mantine/core';
import { memo, useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { followEvents } from '@/api/events';
import { useFormat } from '@/i18n/useLanguage';
import { Panel } from '@/ui/Panel';
import { ProblemPanel } from '@/ui/ProblemPanel';

import type { Task } from '../queries';
import classes from './TaskView.module.css';

interface Line {
  id: string;
  rank: number | null;
  text: string;
}

const MOST_LINES = 2000;
/** What our trainer tells in records, each a sentence of `log.events`. */
const EVENTS = ['start', 'step', 'checkpoint', 'unsaved', 'stopped', 'end'];
const FIGURES = ['loss', 'step_seconds', 'tokens_per_second', 'checkpoint_seconds'];

/** What the ranks say, as they say it; the end stays in sight until somebody scrolls up. */
export function Log({ task, number }: { task: Task; number: number }) {
  const { t } = useTranslation('tasks');
  const [rank, setRank] = useState('');
  const [isFollowing, setFollowing] = useState(true);
  const { lines, problem } = useLines(task.id, number, rank);
  const [isRaw, setRaw] = useState(false);
  const holder = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (isFollowing && holder.current != null) holder.current.scrollTop = holder.current.scrollHeight;
  }, [lines, isFollowing]);
  const ranks = task.nodes.flatMap((node) =>
    Array.from({ length: node.num_ranks }, (_, index) => node.first_rank + index),
  );
  const aside = (
    <Group gap="sm">
      <Switch
        size="xs"
        label={t('log.follow')}
        checked={isFollowing}
        onChange={(event) => {
          setFollowing(event.currentTarget.checked);
        }}
      />
      <Switch
        size="xs"
        label={t('log.raw')}
        checked={isRaw}
        onChange={(event) => {
          setRaw(event.currentTarget.checked);
        }}
      />
      <NativeSelect
        aria-label={t('log.rank')}
        value={rank}
        data={[
          { value: '', label: t('log.allRanks') },
          ...ranks.map((each) => ({ value: String(each), label: t('log.ofRank', { rank: each }) })),
        ]}
        onChange={(event) => {
          setRank(event.currentTarget.value);
        }}
      />
    </Group>
  );
  return (
    <Panel title={t('log.title')} aside={aside}>
      {problem != null && <ProblemPanel problem={problem} />}
      <div ref={holder} className={classes.log} role="region" aria-label={t('log.title')} tabIndex={0}>
        {lines.length === 0 && t('log.nothing')}
        {lines.map((line) => (
          <SaidLine key={line.id} line={line} isRaw={isRaw} />
        ))}
      </div>
    </Panel>
  );
}

/** A line as it was written, or, where it is a record of our trainer, as a sentence. */
const SaidLine = memo(function SaidLine({ line, isRaw }: { line: Line; isRaw: boolean }) {
  const { t } = useTranslation('tasks');
  const format = useFormat();
  const record = isRaw ? null : recordOf(line.text);
  const event = record == null ? '' : String(record.event);
  const figures = Object.fromEntries(FIGURES.map((name) => [name, format.field(name, record?.[name])]));
  return (
    <div data-event={event}>
      <b>{line.rank ?? '·'}</b>
      {record != null && EVENTS.includes(event) ? t(`log.events.${event}`, { ...record, ...figures }) : line.text}
    </div>
  );
});

function recordOf(text: string): Record<string, unknown> | null {
  if (!text.startsWith('{') || !text.endsWith('}')) return null;
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return null;
  }
}

function useLines(id: string, number: number, rank: string) {
  const [found, setFound] = useState<{ of: string; lines: Line[]; problem: Error | null }>({
    of: '',
    lines: [],
    problem: null,
  });
  const path = `/api/v1/training-tasks/${id}/log?attempt=${String(number)}${rank === '' ? '' : `&rank=${rank}`}`;
  useEffect(() => {
    const stop = new AbortController();
    let waiting: Line[] = [];
    const show = () => {
      if (waiting.length === 0) return;
      const added = waiting;
      waiting = [];
      setFound((before) => ({
        of: path,
        lines: [...(before.of === path ? before.lines : []), ...added].slice(-MOST_LINES),
        problem: null,
      }));
    };
    const timer = setInterval(show, 150); // many lines, one drawing
    followEvents(path, {
      signal: stop.signal,
      onEvent: ({ id: number, data }) => {
        const { rank: of, text } = data as { rank: number | null; text: string };
        waiting.push({ id: number, rank: of, text });
      },
    }).catch((problem: unknown) => {
      setFound({ of: path, lines: [], problem: problem instanceof Error ? problem : null });
    });
    return () => {
      stop.abort();
      clearInterval(timer);
    };
  }, [path]);
  return found.of === path ? found : { lines: [], problem: null };
}
