import { ActionIcon, Button, Group as Row, Text, TextInput, Tooltip } from '@mantine/core';
import { ChevronLeft, ChevronRight, Maximize2, Minus, Plus, Search } from 'lucide-react';
import { useCallback, useDeferredValue, useMemo, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useFormat } from '@/i18n/useLanguage';

import { Legend } from './Legend';
import { Overview } from './Overview';
import { buildScene, search, sliceOf, type Group, type Place, type Scene } from './scene';
import { Selection } from './Selection';
import type { DrawnStep } from './steps';
import classes from './Timeline.module.css';
import { around, HEAD_HEIGHT, TimelineCanvas, type Heading } from './TimelineCanvas';
import { useView, type Move } from './useView';

interface Props {
  steps: readonly DrawnStep[];
  /** What stands above the lanes of each step. */
  headings?: readonly Heading[];
}

/** The picture of steps, below each other on one axis of time, with what moves, filters and searches them. */
export function Timeline({ steps, headings }: Props) {
  const { t } = useTranslation('lanes');
  const headHeight = headings == null ? 0 : HEAD_HEIGHT;
  const scene = useMemo(
    () =>
      buildScene(
        steps.map(({ detail }) => detail),
        headHeight,
      ),
    [steps, headHeight],
  );
  const [span, move] = useView(scene);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const [selection, setSelection] = useState<{ scene: Scene; place: Place | null }>({ scene, place: null });
  const selected = selection.scene === scene ? selection.place : null; // places of another scene mean nothing here
  const select = useCallback(
    (place: Place | null) => {
      setSelection({ scene, place });
    },
    [scene],
  );
  const found = useSearch(scene, selected, select, move);
  const input = useRef<HTMLInputElement>(null);
  const nameOf = useNames(steps);
  const marks = useMemo(
    () => ({
      isHidden: scene.categories.map((category) => hidden.has(category)),
      found: found.byLane,
      selected,
    }),
    [scene, hidden, found.byLane, selected],
  );
  const lane = selected == null ? undefined : scene.lanes[selected.lane];
  const group = scene.groups.find(({ lanes }) => lane != null && lanes.includes(lane));
  return (
    <section className={classes.card} aria-label={t('title')}>
      <div className={classes.tools}>
        <Legend
          categories={scene.categories}
          hidden={hidden}
          onToggle={(category) => {
            setHidden((before) => toggled(before, category));
          }}
        />
        <SearchBox found={found} inputRef={input} />
        <ZoomButtons scene={scene} onMove={move} />
      </div>
      <Overview scene={scene} span={span} onMove={move} />
      <TimelineCanvas
        scene={scene}
        span={span}
        onMove={move}
        marks={marks}
        onSelect={select}
        nameOf={nameOf}
        headings={headings ?? []}
        onSearch={() => input.current?.focus()}
      />
      <Selection
        slice={selected == null ? undefined : sliceOf(scene, selected)}
        track={lane?.track}
        place={group == null ? '' : placeOf(nameOf(group).name, headings?.[group.step])}
      />
      <div className={classes.keys} id="timeline-keys">
        {t('keys')} {scene.isMerged && t('merged', { shown: scene.numSlices, count: scene.numSpans })}
      </div>
    </section>
  );
}

function placeOf(name: string, heading: Heading | undefined): string {
  return heading == null ? name : `${heading.name} · ${name}`;
}

function toggled(before: ReadonlySet<string>, category: string): ReadonlySet<string> {
  const after = new Set(before);
  if (!after.delete(category)) after.add(category);
  return after;
}

/** What a stage or link is called, and how busy the engine says that it is. */
function useNames(steps: readonly DrawnStep[]) {
  const { t } = useTranslation('lanes');
  const format = useFormat();
  return useCallback(
    ({ track, step }: Group) => {
      const simulation = steps[step]?.simulation;
      if (track.rank != null)
        return { name: t('rank', { rank: track.rank }), note: [t('measured'), track.zone].filter(Boolean).join(' · ') };
      if (track.to_zone != null) {
        const link = simulation?.links.find((one) => one.from_zone === track.zone && one.to_zone === track.to_zone);
        const name = t('link', { from: track.zone, to: track.to_zone });
        return { name, note: busy(link?.busy_fraction) };
      }
      const use = simulation?.stages.find((one) => one.replica === track.replica && one.stage === track.stage);
      const name = t('stage', { number: track.stage ?? 0 });
      return {
        name: use != null && use.num_replicas > 1 ? t('replicas', { name, count: use.num_replicas }) : name,
        note: [track.zone, busy(use?.busy_fraction)].filter(Boolean).join(' · '),
      };

      function busy(fraction: number | undefined): string {
        return fraction == null ? '' : t('busy', { fraction: format.field('busy_fraction', fraction) });
      }
    },
    [steps, t, format],
  );
}

interface Found {
  text: string;
  setText: (text: string) => void;
  places: readonly Place[];
  byLane: readonly ReadonlySet<number>[] | null;
  /** Select the next place, or the one before. */
  step: (direction: 1 | -1) => void;
  position: number;
}

function useSearch(
  scene: Scene,
  selected: Place | null,
  onSelect: (place: Place | null) => void,
  onMove: (move: Move) => void,
): Found {
  const [text, setText] = useState('');
  const sought = useDeferredValue(text); // typing goes before searching
  const places = useMemo(() => search(scene, sought), [scene, sought]);
  const byLane = useMemo(() => {
    if (sought.trim() === '') return null;
    const sets = scene.lanes.map(() => new Set<number>());
    for (const { lane, index } of places) sets[lane]?.add(index);
    return sets;
  }, [scene, places, sought]);
  const position = places.findIndex(({ lane, index }) => lane === selected?.lane && index === selected.index);
  const step = (direction: 1 | -1) => {
    const all = sought === text ? places : search(scene, text);
    const next = all.at(position < 0 && direction === 1 ? 0 : (position + direction) % all.length);
    if (next == null) return;
    onSelect(next);
    onMove({ kind: 'show', span: around(scene, next) });
  };
  return { text, setText, places, byLane, step, position };
}

function SearchBox({ found, inputRef }: { found: Found; inputRef: React.RefObject<HTMLInputElement | null> }) {
  const { t } = useTranslation('lanes');
  const { text, places, position } = found;
  const isSearching = text.trim() !== '';
  return (
    <Row gap={4} wrap="nowrap">
      <TextInput
        ref={inputRef}
        w={190}
        aria-label={t('search.label')}
        placeholder={t('search.label')}
        leftSection={<Search size={13} />}
        value={text}
        onChange={(event) => {
          found.setText(event.currentTarget.value);
        }}
        onKeyDown={(event) => {
          if (event.key === 'Enter') found.step(event.shiftKey ? -1 : 1);
          if (event.key === 'Escape') found.setText('');
        }}
        rightSectionWidth={62}
        rightSection={
          isSearching && (
            <Text size="xs" c="dimmed" aria-live="polite">
              {t('search.found', { at: position + 1, count: places.length })}
            </Text>
          )
        }
      />
      {([-1, 1] as const).map((direction) => (
        <ActionIcon
          key={direction}
          variant="subtle"
          color="gray"
          disabled={places.length === 0}
          aria-label={t(direction === 1 ? 'search.next' : 'search.before')}
          onClick={() => {
            found.step(direction);
          }}
        >
          {direction === 1 ? <ChevronRight size={15} /> : <ChevronLeft size={15} />}
        </ActionIcon>
      ))}
    </Row>
  );
}

function ZoomButtons({ scene, onMove }: { scene: Scene; onMove: (move: Move) => void }) {
  const { t } = useTranslation('lanes');
  const buttons = [
    ['zoom.out', Minus, { kind: 'zoom', factor: 2, at: 0.5 }],
    ['zoom.in', Plus, { kind: 'zoom', factor: 0.5, at: 0.5 }],
    ['zoom.fit', Maximize2, { kind: 'fit', whole: scene }],
  ] as const;
  return (
    <Button.Group>
      {buttons.map(([key, Icon, move]) => (
        <Tooltip key={key} label={t(key)}>
          <Button
            variant="default"
            px={8}
            aria-label={t(key)}
            onClick={() => {
              onMove(move);
            }}
          >
            <Icon size={14} />
          </Button>
        </Tooltip>
      ))}
    </Button.Group>
  );
}
