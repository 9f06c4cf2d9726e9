/** Where everything of a plot stands: scales, ticks, paths, and which point is meant. */
import { scaleLinear, scaleLog, type ScaleContinuousNumeric } from 'd3-scale';

import { writtenUnit } from '@/format';
import type { Meaning } from '@/theme/palette';

export interface Axis<Row> {
  /** The field of the API that it is: its last words are its unit. */
  name: string;
  title: string;
  value: (row: Row) => number | null | undefined;
  isLog?: boolean;
  /** From where to where; else round numbers around all values. */
  domain?: readonly [number, number];
}

export interface Series<Row> {
  key: string;
  /** In the legend; without it, it is not told of there. */
  title?: string;
  meaning: Meaning;
  rows: readonly Row[];
  /** Points, a line through them in their order, or a front: a line in steps. */
  as: 'points' | 'line' | 'steps';
  isDiamond?: boolean;
  /** Of a point, in pixels. */
  radius?: (row: Row) => number;
  /** There for comparison only. */
  isFaint?: boolean;
}

/** A dashed line that is no data: a level, or where both axes are equal. */
export interface Guide {
  title: string;
  from: Place;
  to: Place;
}

/** What is drawn, in values. */
export interface Content<Row> {
  x: Axis<Row>;
  y: Axis<Row>;
  series: readonly Series<Row>[];
  guides?: readonly Guide[];
}

export type Place = readonly [x: number, y: number];
type Scale = ScaleContinuousNumeric<number, number>;
type Write = (name: string, value: number) => string;

interface Tick {
  at: number;
  text: string;
}

export interface Mark {
  at: Place;
  radius: number;
  meaning: Meaning;
  isDiamond: boolean;
  isFaint: boolean;
}

interface Line {
  key: string;
  path: string;
  as: 'line' | 'steps' | 'guide';
  meaning: Meaning;
}

/** What is drawn, in pixels. */
export interface Look<Row> {
  left: number;
  right: number;
  top: number;
  bottom: number;
  xTicks: readonly Tick[];
  yTicks: readonly Tick[];
  lines: readonly Line[];
  marks: readonly Mark[];
  /** What can be pointed at, from left to right. */
  points: readonly { row: Row; mark: Mark }[];
  /** Whether it is a course: a point is meant wherever the pointer is above or below it. */
  isCourse: boolean;
}

const GUIDE_MEANING: Meaning = 'optimizer';
const MARGIN = { top: 28, right: 26, bottom: 40 };
const GAP = { x: 60, y: 30 };
const [POINT_RADIUS, DIGIT_WIDTH] = [3, 6.4];

export function lookOf<Row>(content: Content<Row>, size: { width: number; height: number }, write: Write): Look<Row> {
  const { x, y, series, guides = [] } = content;
  const known = (axis: Axis<Row>, more: readonly number[]) =>
    [...series.flatMap(({ rows }) => rows.map((row) => axis.value(row) ?? NaN)), ...more].filter(Number.isFinite);
  const [top, bottom] = [MARGIN.top, size.height - MARGIN.bottom];
  const ends = guides.flatMap(({ from, to }) => [from, to]);
  const up = scaleOf(
    y,
    known(
      y,
      ends.map((place) => place[1]),
    ),
    [bottom, top],
  );
  const yTicks = writtenTicks(up, y, GAP.y, write);
  const left = Math.max(...yTicks.map(({ text }) => text.length), 3) * DIGIT_WIDTH + 12;
  const right = size.width - MARGIN.right;
  const across = scaleOf(
    x,
    known(
      x,
      ends.map((place) => place[0]),
    ),
    [left, right],
  );
  const xTicks = writtenTicks(across, x, GAP.x, write);
  const place = (row: Row): Place => [across(x.value(row) ?? NaN), up(y.value(row) ?? NaN)];
  const points = series.flatMap((one) => (one.as === 'steps' ? [] : pointsOf(one, place)));
  const isCourse = series.some(({ as }) => as === 'line');
  return {
    ...{ left, right, top, bottom, xTicks, yTicks, isCourse },
    lines: [
      ...guides.map(({ title, from, to }) => {
        const path = pathOf([from, to].map(([first, second]) => [across(first), up(second)]));
        return { key: title, path, as: 'guide' as const, meaning: GUIDE_MEANING };
      }),
      ...series.flatMap(({ key, as, rows, meaning }) =>
        as === 'points' ? [] : [{ key, path: pathOf(rows.map(place), as === 'steps'), as, meaning }],
      ),
    ],
    marks: isCourse && points.length > 1 ? [] : points.map(({ mark }) => mark),
    points: points.sort((one, other) => one.mark.at[0] - other.mark.at[0]),
  };
}

function pointsOf<Row>({ rows, meaning, radius, ...rest }: Series<Row>, place: (row: Row) => Place) {
  const { isDiamond = false, isFaint = false } = rest;
  return rows.flatMap((row) => {
    const at = place(row);
    const mark = { at, meaning, isDiamond, isFaint, radius: radius?.(row) ?? POINT_RADIUS };
    return at.every(Number.isFinite) ? [{ row, mark }] : [];
  });
}

type Extent = Pick<Axis<never>, 'name' | 'isLog' | 'domain'>;

/** From values to pixels. A logarithmic one takes positive values only. */
export function scaleOf({ name, isLog = false, domain }: Extent, values: readonly number[], range: Place): Scale {
  const [least, most] = domain ?? [Math.min(...values), Math.max(...values)];
  const isOne = least === most;
  if (isLog) return scaleLog(isOne ? [least / 2, most * 2] : [least, most], range);
  const unit = writtenUnit(name, most);
  const margin = isOne ? Math.abs(least) / 10 || unit : 0;
  const linear = scaleLinear([(least - margin) / unit, (most + margin) / unit], range);
  if (domain == null || isOne) linear.nice(5);
  return linear.domain(linear.domain().map((value) => value * unit));
}

/** Ticks that their texts tell apart: fewer where the digits that are written are the same for neighbours. */
function writtenTicks(scale: Scale, axis: Extent, gap: number, write: Write): readonly Tick[] {
  const ticks = ticksOf(scale, axis, gap).map((value) => ({ at: scale(value), text: write(axis.name, value) }));
  const apart = ticks.filter(({ text }, index) => ticks.findIndex((other) => other.text === text) === index);
  const [start = 0, end = 0] = scale.range();
  if (apart.length === ticks.length || gap > Math.abs(end - start)) return apart;
  return writtenTicks(scale, axis, 1.5 * gap, write);
}

/** Round numbers, at least so many pixels apart; on a logarithmic scale as many to a power of ten as there is room for. */
export function ticksOf(scale: Scale, { name, isLog = false }: Extent, gap: number): readonly number[] {
  const [start = 0, end = 0] = scale.range();
  const most = Math.max(Math.floor(Math.abs(end - start) / gap), 1);
  if (isLog) return logarithmicTicks(scale, gap, most);
  const [low = 0, high = 0] = scale.domain();
  const unit = writtenUnit(name, high);
  return scaleLinear([low / unit, high / unit], scale.range())
    .ticks(Math.min(most, 6))
    .map((value) => value * unit);
}

function logarithmicTicks(scale: Scale, gap: number, most: number): readonly number[] {
  const all = scale.ticks(most);
  const led = (...leads: number[]) => all.filter((value) => leads.includes(leadOf(value)));
  const roomy = [all, led(1, 2, 5), led(1, 3)].find((ticks) => ticks.length > 0 && leastGap(ticks.map(scale)) >= gap);
  return roomy ?? led(1);
}

/** The first digit of a round number. */
function leadOf(value: number): number {
  return Math.round(value / 10 ** Math.floor(Math.log10(value) + 1e-9));
}

function leastGap(places: readonly number[]): number {
  return Math.min(...places.slice(1).map((place, index) => Math.abs(place - (places[index] ?? place))));
}

/** An SVG path through places; an unknown one leaves a gap. Steps go across first, then up or down. */
export function pathOf(places: readonly Place[], isSteps = false): string {
  let isOpen = false;
  const parts = places.map(([x, y]) => {
    const isKnown = Number.isFinite(x) && Number.isFinite(y);
    const step = isSteps ? `H${pixel(x)}V${pixel(y)}` : `L${pixel(x)} ${pixel(y)}`;
    const part = !isKnown ? '' : isOpen ? step : `M${pixel(x)} ${pixel(y)}`;
    isOpen = isKnown;
    return part;
  });
  return parts.join('');
}

function pixel(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** Which place is nearest to another: of a course by x alone, else within `reach` pixels; -1 where none is. */
export function nearest(places: readonly Place[], [x, y]: Place, isCourse: boolean, reach = 28): number {
  const distances = places.map(([atX, atY]) => (isCourse ? Math.abs(atX - x) : Math.hypot(atX - x, atY - y)));
  const least = Math.min(...distances);
  return isCourse || least <= reach ? distances.indexOf(least) : -1;
}
