/**
 * Steps as they are drawn, below each other on one axis of time: lanes from top to bottom, each with its slices as columns of numbers in the order of time.
 * Slices of one lane do not overlap, so that what is in sight is found by halving.
 */
import type { Schemas } from '@/api/client';
import type { Meaning } from '@/theme/palette';

export type Detail = NonNullable<Schemas['Simulation']['detail']>;
export type Track = Detail['tracks'][number]['track'];
export type Slice = Detail['tracks'][number]['slices'][number];

export interface Lane {
  track: Track;
  /** 0: what stands by itself; 1: what it consists of. */
  depth: number;
  slices: readonly Slice[];
  starts: Float64Array;
  ends: Float64Array;
  /** Index of each slice's category in `Scene.categories`. */
  kinds: Uint8Array;
  /** From the top of all lanes, in CSS pixels. */
  top: number;
  height: number;
}

/** The lanes of one stage or link, under its name. */
export interface Group {
  key: string;
  /** Index in `Scene.steps`. */
  step: number;
  track: Track;
  lanes: readonly Lane[];
  top: number;
  height: number;
}

/** One of the steps: where it is drawn, and when it ends. */
export interface Step {
  top: number;
  height: number;
  endSeconds: number;
}

export interface Scene {
  startSeconds: number;
  endSeconds: number;
  steps: readonly Step[];
  groups: readonly Group[];
  lanes: readonly Lane[];
  categories: readonly string[];
  height: number;
  numSlices: number;
  /** Of all steps; more than slices where `isMerged`. */
  numSpans: number;
  isMerged: boolean;
}

/** A slice by its place. */
export interface Place {
  lane: number;
  index: number;
}

const LANE_HEIGHTS = [18, 10];
const GAP = 3;
export const GROUP_GAP = 5; // on both sides of the line between groups
const LEAST_GROUP_HEIGHT = 30; // two lines of its name

/** What a span spends its time on: colours are those of all pages. */
const MEANINGS: Record<string, Meaning> = {
  forward: 'compute',
  compute: 'compute',
  backward: 'backward',
  weight_gradient: 'gradient',
  embedding_head_loss: 'embedding',
  embedding_agreement: 'embedding',
  recompute: 'recompute',
  optimizer: 'optimizer',
  tensor_parallel: 'tp',
  context_parallel: 'cp',
  expert_parallel: 'ep',
  pipeline_send: 'pp',
  zone_pipeline_send: 'zone',
  zone_agreement: 'zone',
  weight_gather: 'dp',
  gradient_agreement: 'dp',
  late: 'bubble',
  data_wait: 'bubble',
  measured_step: 'overhead',
};

export function meaningOf(category: string): Meaning {
  return MEANINGS[category] ?? 'overhead';
}

/** `headHeight`: room above the lanes of each step, in CSS pixels. */
export function buildScene(details: readonly Detail[], headHeight = 0): Scene {
  const slices = details.flatMap(({ tracks }) => tracks.flatMap((each) => each.slices));
  const found = new Set(slices.map(({ category }) => category));
  const categories = [...Object.keys(MEANINGS).filter((name) => found.delete(name)), ...found];
  const kindOf = new Map(categories.map((category, index) => [category, index]));
  const groups: Group[] = [];
  const steps: Step[] = [];
  let top = 0;
  for (const [step, detail] of details.entries()) {
    const first = top;
    top += headHeight;
    const tracks = [...detail.tracks].sort((one, other) => compare(sortKey(one.track), sortKey(other.track)));
    for (const [key, members] of groupedBy(tracks, ({ track }) => groupKey(track))) {
      const lanes = lanesAt(top + GROUP_GAP, members, kindOf);
      const [start, last] = [lanes[0], lanes.at(-1)];
      if (start == null || last == null) continue;
      const height = Math.max(last.top + last.height + GAP - start.top, LEAST_GROUP_HEIGHT);
      groups.push({ key, step, track: start.track, lanes, top: start.top, height });
      top = start.top + height + GROUP_GAP;
    }
    steps.push({ top: first, height: top - first, endSeconds: detail.end_seconds });
  }
  return {
    startSeconds: Math.min(...details.map(({ start_seconds }) => start_seconds)),
    endSeconds: Math.max(...details.map(({ end_seconds }) => end_seconds)),
    steps,
    groups,
    lanes: groups.flatMap(({ lanes }) => lanes),
    categories,
    height: top,
    numSlices: slices.length,
    numSpans: details.reduce((sum, { num_spans }) => sum + num_spans, 0),
    isMerged: details.some(({ is_merged }) => is_merged),
  };
}

/** The lanes of some tracks, from `top` on: what stands by itself above what it consists of. */
function lanesAt(top: number, tracks: Detail['tracks'], kindOf: ReadonlyMap<string, number>): Lane[] {
  let next = top;
  return tracks.flatMap(({ track, slices }) =>
    [...groupedBy(slices, ({ depth }) => Math.min(depth, 1))]
      .sort(([one], [other]) => one - other)
      .map(([depth, found]) => {
        const height = LANE_HEIGHTS[depth] ?? 10;
        const lane = { track, depth, ...columns(found, kindOf), top: next, height };
        next += height + GAP;
        return lane;
      }),
  );
}

function groupedBy<Key, Item>(items: readonly Item[], keyOf: (item: Item) => Key): Map<Key, Item[]> {
  const found = new Map<Key, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const members = found.get(key);
    if (members == null) found.set(key, [item]);
    else members.push(item);
  }
  return found;
}

function columns(found: Slice[], kindOf: ReadonlyMap<string, number>) {
  const slices = found.sort((one, other) => one.start_seconds - other.start_seconds);
  return {
    slices,
    starts: Float64Array.from(slices, (slice) => slice.start_seconds),
    ends: Float64Array.from(slices, (slice) => slice.end_seconds),
    kinds: Uint8Array.from(slices, (slice) => kindOf.get(slice.category) ?? 0),
  };
}

/** Stages by replica first, then links; what computes before what it sends. */
function sortKey(track: Track): (string | number)[] {
  const isCompute = track.stream === 'compute' ? 0 : 1;
  const place = [track.replica ?? -1, track.stage ?? -1, track.rank ?? -1];
  return [
    track.rank != null ? 2 : track.to_zone == null ? 0 : 1,
    ...place,
    track.zone,
    track.to_zone ?? '',
    isCompute,
    track.stream,
    track.lane,
  ];
}

function compare(one: readonly (string | number)[], other: readonly (string | number)[]): number {
  const at = one.findIndex((part, index) => part !== other[index]);
  if (at < 0) return 0;
  return (one[at] ?? 0) < (other[at] ?? 0) ? -1 : 1;
}

function groupKey({ zone, to_zone, node_group, replica, stage, rank }: Track): string {
  return JSON.stringify([zone, to_zone, node_group, replica, stage, rank]);
}

/** The first slice of a lane that ends after `seconds`. */
export function firstAfter(lane: Lane, seconds: number): number {
  let [low, high] = [0, lane.ends.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((lane.ends[middle] ?? 0) > seconds) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** What lies at a point; null where nothing does. `slack` seconds beside a narrow slice count as on it. */
export function sliceAt(scene: Scene, seconds: number, y: number, slack: number): Place | null {
  const lane = scene.lanes.findIndex((one) => y >= one.top && y < one.top + one.height);
  const found = scene.lanes[lane];
  if (found == null) return null;
  const index = firstAfter(found, seconds - slack);
  const start = found.starts[index];
  return start != null && start <= seconds + slack ? { lane, index } : null;
}

export function sliceOf(scene: Scene, place: Place): Slice | undefined {
  return scene.lanes[place.lane]?.slices[place.index];
}

/** Every slice whose name has all words of `text`, from left to right. */
export function search(scene: Scene, text: string): Place[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return [];
  return scene.lanes
    .flatMap(({ slices }, lane) =>
      slices.flatMap((slice, index) => {
        const parts = slice.name.toLowerCase().split(/[\s,_]+/);
        return words.every((word) =>
          parts.some((part) => part === word || (isNaN(Number(word)) && part.startsWith(word))),
        )
          ? [{ lane, index, start: slice.start_seconds }]
          : [];
      }),
    )
    .sort((one, other) => one.start - other.start);
}

/** The next slice from `place` in a direction: along its lane, or the nearest in another. */
export function neighbour(scene: Scene, place: Place, direction: 'left' | 'right' | 'up' | 'down'): Place {
  const lane = scene.lanes[place.lane];
  if (lane == null) return place;
  if (direction === 'left' || direction === 'right') {
    const index = place.index + (direction === 'left' ? -1 : 1);
    return lane.slices[index] == null ? place : { lane: place.lane, index };
  }
  const next = place.lane + (direction === 'up' ? -1 : 1);
  const other = scene.lanes[next];
  if (other == null) return place;
  return { lane: next, index: Math.min(firstAfter(other, lane.starts[place.index] ?? 0), other.slices.length - 1) };
}
