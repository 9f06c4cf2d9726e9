import { Chip, Text } from '@mantine/core';
import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat } from '@/i18n/useLanguage';
import { drawnSteps, type DrawnStep } from '@/lanes/steps';
import { Timeline } from '@/lanes/Timeline';
import type { Heading } from '@/lanes/TimelineCanvas';
import { Uses } from '@/lanes/Uses';
import { Empty } from '@/ui/Empty';
import { Loading } from '@/ui/Loading';
import { Panel } from '@/ui/Panel';
import { ProblemPanel } from '@/ui/ProblemPanel';

import classes from './ComparePage.module.css';
import { useSteps, type Found, type Source } from './useSteps';

type SideBySide = Schemas['SideBySide'];
type Row = SideBySide['rows'][number];

/** How many sides are drawn at first. */
const FIRST = 4;

export interface TimelinesProps {
  found: SideBySide;
  /** By side; empty while they are not known. */
  sources: readonly Source[];
  isStale: boolean;
}

/** The steps of some sides below each other, each with how far it is from the first; and as tables. */
export default function Timelines({ found, sources, isStale }: TimelinesProps) {
  const { t } = useTranslation('compare');
  const [chosen, setChosen] = useState<ReadonlyMap<string, boolean>>(new Map());
  const keys = sources.map((source, index) => ('id' in source ? source.id : String(index)));
  const areDrawn = keys.map((key, index) => chosen.get(key) ?? index < FIRST);
  const drawn = sources.map((source, index) => ({ index, source })).filter(({ index }) => areDrawn[index]);
  const { data, refetch } = useSteps(drawn);
  const [shown, setShown] = useState<Shown | null>(null); // stays until all that is next is there
  if (data != null && drawn.length > 0 && (shown?.steps !== data || shown.found !== found)) {
    setShown({ found, steps: data });
  }
  const isNone = sources.length > 0 && drawn.length === 0;
  const isBehind = isStale || shown?.steps !== data;
  return (
    <>
      <Panel title={t('timelines.title')} isStale={isBehind && !isNone}>
        <div className={classes.sides} role="group" aria-label={t('timelines.drawn')}>
          {found.sides.map((side, index) => (
            <Chip
              key={index}
              size="xs"
              variant="outline"
              checked={areDrawn[index] ?? index < FIRST}
              onChange={(isChecked) => {
                setChosen(new Map(chosen).set(keys[index] ?? '', isChecked));
              }}
            >
              <span className={classes.chip} title={side.name}>
                {side.name}
              </span>
            </Chip>
          ))}
        </div>
        {isNone && <Empty title={t('timelines.none')}>{t('timelines.noneWhy')}</Empty>}
        {!isNone && shown == null && <Loading height={560} />}
        {!isNone && shown != null && <Steps {...shown} onRetry={() => void refetch()} />}
      </Panel>
      {!isNone && shown != null && <Tables {...shown} isStale={isBehind} />}
    </>
  );
}

interface Shown {
  found: SideBySide;
  steps: readonly Found[];
}

/** What could be played or was measured, drawn; why the rest could not be. */
function Steps({ found, steps, onRetry }: Shown & { onRetry: () => void }) {
  const { t } = useTranslation('compare');
  const headingOf = useHeadings(found);
  const parts = useMemo(() => steps.flatMap(partsOf), [steps]);
  const lanes = useMemo(() => parts.map(({ drawn }) => drawn), [parts]);
  return (
    <div className={classes.steps}>
      {steps.map(({ index, step }) => {
        const name = found.sides[index]?.name ?? '';
        if (step instanceof Error) {
          return (
            <section key={index} aria-label={name}>
              <Text size="sm">{t('timelines.failed', { name })}</Text>
              <ProblemPanel problem={step} onRetry={onRetry} />
            </section>
          );
        }
        if (step.simulation != null) return null;
        return (
          <Text key={index} size="sm" c="dimmed">
            {t('timelines.noJob', { name })}
          </Text>
        );
      })}
      {lanes.length > 0 && <Timeline steps={lanes} headings={parts.map(headingOf)} />}
    </div>
  );
}

/** The same as numbers: of each stage and each link. */
function Tables({ found, steps, isStale }: Shown & { isStale: boolean }) {
  const played = steps.flatMap(({ index, step }) =>
    step instanceof Error || step.simulation == null ? [] : [{ index, simulation: step.simulation }],
  );
  if (played.length === 0) return null;
  return (
    <Uses
      simulations={played.map(({ simulation }) => simulation)}
      names={played.map(({ index }) => found.sides[index]?.name ?? '')}
      isStale={isStale}
    />
  );
}

/** A step that is drawn, and the side that it is of. */
interface Part {
  index: number;
  drawn: DrawnStep;
}

function partsOf({ index, step }: Found): Part[] {
  return step instanceof Error ? [] : drawnSteps(step.simulation, step.measured).map((drawn) => ({ index, drawn }));
}

/** What stands above a step: how long it takes, and how far that is from the first side, as the engine has it. */
function useHeadings(found: SideBySide): (part: Part) => Heading {
  const { t } = useTranslation('compare');
  const format = useFormat();
  const rows = new Map(found.rows.map((row) => [row.name, row]));
  return ({ index, drawn }) => {
    const name = found.sides[index]?.name ?? '';
    const isMeasured = drawn.simulation == null;
    const row = rows.get(isMeasured ? 'measurement.step_seconds' : 'step_seconds');
    const kept = format.field('step_seconds', row?.values[index]);
    const now = isMeasured ? kept : format.field('step_seconds', drawn.simulation?.step_seconds);
    const notes = [now, ...far(row, index), ...(now === kept ? [] : [t('timelines.played', { seconds: kept })])];
    return { name: isMeasured ? t('timelines.measured', { name }) : name, note: notes.join(' · ') };
  };

  function far(row: Row | undefined, index: number): string[] {
    const [difference, ratio] = [row?.differences?.[index], row?.ratios?.[index]];
    if (difference == null || difference === 0) return [];
    return [format.change('step_seconds', difference), ...(ratio == null ? [] : [format.field('ratio', ratio)])];
  }
}
