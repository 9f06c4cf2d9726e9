import { useElementSize } from '@mantine/hooks';
import { useEffect, useMemo, useRef, useState, type KeyboardEvent, type PointerEvent } from 'react';
import { useTranslation } from 'react-i18next';

import { useFormat } from '@/i18n/useLanguage';
import { onFrame } from '@/theme/onFrame';

import { draw, Strip, ticks, xOf, type Marks, type View } from './draw';
import { neighbour, sliceAt, sliceOf, type Group, type Place, type Scene, type Slice } from './scene';
import classes from './Timeline.module.css';
import { useTimelineLook } from './useTimelineLook';
import type { Move, Span } from './useView';

/** What stands above the lanes of a step, where there are several. */
export interface Heading {
  name: string;
  note: string;
}

interface Props {
  scene: Scene;
  span: Span;
  onMove: (move: Move) => void;
  marks: Omit<Marks, 'hovered'>;
  onSelect: (place: Place | null) => void;
  /** What stands at the left of each stage and link. */
  nameOf: (group: Group) => { name: string; note: string };
  /** By step; empty: one needs none. */
  headings: readonly Heading[];
  onSearch: () => void;
}

export const HEAD_HEIGHT = 28;
const MOST_HEIGHT = 620;
const KEY_ZOOM = 0.75;
const KEY_PAN = 0.15;
const WHEEL_ZOOM = 0.002;
const CLICK_PIXELS = 4;
const SLACK_PIXELS = 3;
export const DRAW_MEASURE = 'timeline-draw';

/** The lanes, in a canvas that is moved with wheel, pointer and keys as in Perfetto. */
export function TimelineCanvas({ scene, span, onMove, marks, onSelect, nameOf, headings, onSearch }: Props) {
  const { t } = useTranslation('lanes');
  const { ref: holder, width } = useElementSize<HTMLDivElement>();
  const scroller = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [strip] = useState(() => new Strip());
  const [top, setTop] = useState(0);
  const [hovered, setHovered] = useState<Hovered | null>(null);
  const look = useTimelineLook(scene.categories);
  const height = Math.min(scene.height, MOST_HEIGHT);
  const view = useMemo<View>(() => ({ ...span, top, width, height }), [span, top, width, height]);
  const hoveredPlace = hovered?.place ?? null;

  useEffect(() => {
    return onFrame(() => {
      paint(canvas.current, strip, scene, view, look, { ...marks, hovered: hoveredPlace });
    });
  }, [scene, view, look, marks, strip, hoveredPlace]);

  useWheel(scroller, onMove);

  const pointer = usePointer(scene, view, marks.isHidden, { onMove, onSelect, setHovered, scroller });
  return (
    <div className={classes.board}>
      <div className={classes.corner} aria-hidden />
      <Axis view={view} />
      <div
        ref={scroller}
        className={classes.scroller}
        style={{ height }}
        onScroll={(event) => {
          setTop(event.currentTarget.scrollTop);
        }}
      >
        <Names scene={scene} nameOf={nameOf} headings={headings} width={width} />
        <div ref={holder} className={classes.holder} style={{ height }}>
          <canvas
            ref={canvas}
            className={classes.canvas}
            style={{ width, height }}
            // eslint-disable-next-line jsx-a11y/no-interactive-element-to-noninteractive-role -- its keys are its own
            role="application"
            tabIndex={0}
            aria-label={t('canvas', { count: scene.numSlices })}
            aria-describedby="timeline-keys"
            {...pointer}
            onKeyDown={(event) => {
              onKey(event, scene, marks.selected, { onMove, onSelect, onSearch });
            }}
          />
          {hovered != null && <Tip hovered={hovered} slice={sliceOf(scene, hovered.place)} width={width} />}
        </div>
      </div>
    </div>
  );
}

interface Hovered {
  place: Place;
  x: number;
  y: number;
}

interface PointerDeeds {
  onMove: (move: Move) => void;
  onSelect: (place: Place | null) => void;
  setHovered: (hovered: Hovered | null) => void;
  scroller: React.RefObject<HTMLDivElement | null>;
}

/** Dragging moves, a click selects, resting tells. */
function usePointer(scene: Scene, view: View, isHidden: readonly boolean[], deeds: PointerDeeds) {
  const { onMove, onSelect, setHovered, scroller } = deeds;
  const grip = useRef<{ x: number; y: number; isMoved: boolean } | null>(null);
  const placeAt = (event: PointerEvent) => {
    const bounds = event.currentTarget.getBoundingClientRect();
    const [x, y] = [event.clientX - bounds.left, event.clientY - bounds.top];
    const perPixel = (view.endSeconds - view.startSeconds) / view.width;
    const place = sliceAt(scene, view.startSeconds + x * perPixel, y + view.top, SLACK_PIXELS * perPixel);
    const kind = place == null ? undefined : scene.lanes[place.lane]?.kinds[place.index];
    return { x, y, place: kind != null && isHidden[kind] === true ? null : place };
  };
  return {
    onPointerDown: (event: PointerEvent) => {
      event.currentTarget.setPointerCapture(event.pointerId);
      grip.current = { x: event.clientX, y: event.clientY, isMoved: false };
    },
    onPointerMove: (event: PointerEvent) => {
      const held = grip.current;
      if (held == null) {
        const { x, y, place } = placeAt(event);
        setHovered(place == null ? null : { place, x, y });
        return;
      }
      const [dx, dy] = [event.clientX - held.x, event.clientY - held.y];
      if (!held.isMoved && Math.hypot(dx, dy) < CLICK_PIXELS) return;
      grip.current = { x: event.clientX, y: event.clientY, isMoved: true };
      setHovered(null);
      onMove({ kind: 'pan', fraction: -dx / view.width });
      scroller.current?.scrollBy(0, -dy);
    },
    onPointerUp: (event: PointerEvent) => {
      if (grip.current?.isMoved === false) onSelect(placeAt(event).place);
      grip.current = null;
    },
    onPointerLeave: () => {
      setHovered(null);
    },
  };
}

/** `width`: of the canvas beside the names, over which headings go on. */
function Names({ scene, nameOf, headings, width }: Pick<Props, 'scene' | 'nameOf' | 'headings'> & { width: number }) {
  return (
    <div className={classes.names} style={{ height: scene.height }}>
      {scene.steps.map((step, number) => {
        const heading = headings[number];
        return (
          <div key={step.top} className={classes.step} style={{ top: step.top, height: step.height }}>
            {heading != null && (
              <div
                className={classes.heading}
                data-testid="step-heading"
                style={{ height: HEAD_HEIGHT, width: `calc(var(--names) + ${String(width)}px)` }}
              >
                <strong>{heading.name}</strong>
                <span>{heading.note}</span>
              </div>
            )}
            {scene.groups
              .filter((group) => group.step === number)
              .map((group) => (
                <Name key={group.key} {...nameOf(group)} top={group.top - step.top} height={group.height} />
              ))}
          </div>
        );
      })}
    </div>
  );
}

function Name({ name, note, top, height }: { name: string; note: string; top: number; height: number }) {
  return (
    <div className={classes.name} style={{ top, minHeight: height - 4 }} title={`${name} · ${note}`}>
      <span>{name}</span>
      <span className={classes.note}>{note}</span>
    </div>
  );
}

const TIP_PIXELS = 240;

function Tip({ hovered, slice, width }: { hovered: Hovered; slice: Slice | undefined; width: number }) {
  const format = useFormat();
  if (slice == null) return null;
  return (
    <div className={classes.tip} style={{ left: Math.min(hovered.x + 12, width - TIP_PIXELS), top: hovered.y + 14 }}>
      <strong>{slice.name}</strong> {format.field('duration_seconds', slice.duration_seconds)}
      {slice.moved_bytes > 0 && <> · {format.field('moved_bytes', slice.moved_bytes)}</>}
    </div>
  );
}

function Axis({ view }: { view: View }) {
  const format = useFormat();
  return (
    <div className={classes.axis} aria-hidden>
      {ticks(view).map((seconds) => (
        <span key={seconds} style={{ left: xOf(view, seconds) }}>
          {format.field('seconds', seconds)}
        </span>
      ))}
    </div>
  );
}

function paint(
  canvas: HTMLCanvasElement | null,
  strip: Strip,
  scene: Scene,
  view: View,
  look: Parameters<typeof draw>[5],
  marks: Marks,
): void {
  const context = canvas?.getContext('2d');
  if (canvas == null || context == null || view.width === 0) return;
  const begun = performance.now();
  const scale = devicePixelRatio;
  const [width, height] = [Math.round(view.width * scale), Math.round(view.height * scale)];
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  draw(context, strip, scene, view, scale, look, marks);
  performance.clearMeasures(DRAW_MEASURE);
  performance.measure(DRAW_MEASURE, { start: begun });
}

/** Ctrl and wheel zooms where the pointer is, shift or a sideways wheel moves in time; else the page scrolls. */
function useWheel(scroller: React.RefObject<HTMLDivElement | null>, onMove: (move: Move) => void): void {
  useEffect(() => {
    const element = scroller.current;
    const onWheel = (event: WheelEvent) => {
      const canvas = event.target instanceof HTMLCanvasElement ? event.target : null;
      if (canvas == null) return;
      const { left, width } = canvas.getBoundingClientRect();
      const sideways = event.shiftKey ? event.deltaY : event.deltaX;
      if (event.ctrlKey || event.metaKey) {
        onMove({ kind: 'zoom', factor: Math.exp(event.deltaY * WHEEL_ZOOM), at: (event.clientX - left) / width });
      } else if (Math.abs(sideways) > 0) {
        onMove({ kind: 'pan', fraction: sideways / width });
      } else return;
      event.preventDefault();
    };
    element?.addEventListener('wheel', onWheel, { passive: false });
    return () => {
      element?.removeEventListener('wheel', onWheel);
    };
  }, [scroller, onMove]);
}

interface Deeds {
  onMove: (move: Move) => void;
  onSelect: (place: Place | null) => void;
  onSearch: () => void;
}

const ARROWS = { ArrowLeft: 'left', ArrowRight: 'right', ArrowUp: 'up', ArrowDown: 'down' } as const;

function onKey(
  event: KeyboardEvent,
  scene: Scene,
  selected: Place | null,
  { onMove, onSelect, onSearch }: Deeds,
): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const moves: Record<string, Move> = {
    w: { kind: 'zoom', factor: KEY_ZOOM, at: 0.5 },
    s: { kind: 'zoom', factor: 1 / KEY_ZOOM, at: 0.5 },
    a: { kind: 'pan', fraction: -KEY_PAN },
    d: { kind: 'pan', fraction: KEY_PAN },
    '0': { kind: 'fit', whole: scene },
  };
  const move = moves[event.key.toLowerCase()];
  if (move != null) onMove(move);
  else if (event.key in ARROWS) {
    const direction = ARROWS[event.key as keyof typeof ARROWS];
    onSelect(selected == null ? firstPlace(scene) : neighbour(scene, selected, direction));
  } else if (event.key === 'f' && selected != null) onMove({ kind: 'show', span: around(scene, selected) });
  else if (event.key === 'Escape') onSelect(null);
  else if (event.key === '/') onSearch();
  else return;
  event.preventDefault();
  event.stopPropagation();
}

function firstPlace(scene: Scene): Place | null {
  return scene.lanes.length === 0 ? null : { lane: 0, index: 0 };
}

/** A slice with as much time around it as it takes. */
export function around(scene: Scene, place: Place): Span {
  const slice = sliceOf(scene, place);
  if (slice == null) return scene;
  const room = slice.end_seconds - slice.start_seconds;
  return { startSeconds: slice.start_seconds - room, endSeconds: slice.end_seconds + room };
}
