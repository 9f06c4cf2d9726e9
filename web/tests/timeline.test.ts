import { describe, expect, it } from 'vitest';

import { ticks } from '@/lanes/draw';
import { bandsOf } from '@/lanes/Overview';
import { buildScene, neighbour, search, sliceAt, sliceOf, type Detail, type Slice, type Track } from '@/lanes/scene';
import { moved } from '@/lanes/useView';

const TRACK: Track = {
  zone: 'a',
  stream: 'compute',
  to_zone: null,
  lane: 0,
  node_group: 0,
  replica: 0,
  stage: 0,
  rank: null,
};

function slice(name: string, start: number, end: number, depth = 0): Slice {
  const [category = ''] = name.split(' ');
  const times = { start_seconds: start, end_seconds: end, duration_seconds: end - start };
  return { name, category, depth, ...times, num_spans: 1, busy_fraction: 1, moved_bytes: 0, args: {} };
}

const DETAIL: Detail = {
  start_seconds: 0,
  end_seconds: 10,
  num_spans: 6,
  is_merged: false,
  tracks: [
    {
      track: { ...TRACK, stage: null, replica: null, stream: 'pp', to_zone: 'b' },
      slices: [slice('send forward 1', 2, 3)],
    },
    { track: { ...TRACK, stage: 1 }, slices: [slice('forward 1', 3, 5)] },
    { track: TRACK, slices: [slice('forward 12', 5, 6), slice('forward 1', 0, 2), slice('compute', 0, 1, 1)] },
  ],
};
const SCENE = buildScene([DETAIL]);

describe('a scene', () => {
  it('has stages first, parts below what they are of, and slices in the order of time', () => {
    expect(SCENE.groups.map(({ track }) => track.stage)).toEqual([0, 1, null]);
    expect(SCENE.lanes.map(({ depth }) => depth)).toEqual([0, 1, 0, 0]);
    expect([...(SCENE.lanes[0]?.starts ?? [])]).toEqual([0, 5]);
  });

  it('knows what lies at a point, narrow slices by their neighbourhood', () => {
    const y = (SCENE.lanes[0]?.top ?? 0) + 1;
    expect(sliceAt(SCENE, 5.5, y, 0)).toEqual({ lane: 0, index: 1 });
    expect(sliceAt(SCENE, 3, y, 0)).toBeNull();
    expect(sliceAt(SCENE, 4.9, y, 0.2)).toEqual({ lane: 0, index: 1 });
  });

  it('has what was measured below what was predicted, on one axis', () => {
    const track = { ...TRACK, stage: null, replica: null, node_group: null, stream: 'measured', rank: 1 };
    const measured = { ...DETAIL, end_seconds: 12, num_spans: 1, tracks: [{ track, slices: [slice('step', 0, 12)] }] };
    const scene = buildScene([DETAIL, measured]);
    expect(scene.endSeconds).toBe(12);
    expect(scene.groups.map((group) => group.track.rank)).toEqual([null, null, null, 1]);
  });

  it('has steps below each other, each with room for its heading, on the axis of the longest', () => {
    const scene = buildScene([DETAIL, { ...DETAIL, end_seconds: 20 }], 28);
    const [first, second] = scene.steps;
    expect(scene.endSeconds).toBe(20);
    expect(scene.steps.map(({ endSeconds }) => endSeconds)).toEqual([10, 20]);
    expect(second?.top).toBe(first?.height);
    expect(scene.height).toBe(2 * (first?.height ?? 0));
    const tops = scene.groups.filter(({ step }) => step === 1).map(({ top }) => top - (second?.top ?? 0));
    expect(tops).toEqual(SCENE.groups.map(({ top }) => top + 28));
    expect(bandsOf(scene, 20)).toHaveLength(2);
  });

  it('is searched by whole words and numbers, from left to right', () => {
    const names = (text: string) => search(SCENE, text).map((place) => sliceOf(SCENE, place)?.name);
    expect(names('forward 1')).toEqual(['forward 1', 'send forward 1', 'forward 1']);
    expect(names('12')).toEqual(['forward 12']);
    expect(names(' ')).toEqual([]);
  });

  it('is walked along a lane and from lane to lane', () => {
    expect(neighbour(SCENE, { lane: 0, index: 0 }, 'right')).toEqual({ lane: 0, index: 1 });
    expect(neighbour(SCENE, { lane: 0, index: 1 }, 'right')).toEqual({ lane: 0, index: 1 });
    expect(neighbour(SCENE, { lane: 1, index: 0 }, 'down')).toEqual({ lane: 2, index: 0 });
  });

  it('tells how many stages work', () => {
    expect(bandsOf(SCENE, 10).map((band) => [...band])).toEqual([[0.5, 0.5, 0, 0.5, 0.5, 0.5, 0, 0, 0, 0]]);
  });
});

describe('what is in sight', () => {
  const whole = { startSeconds: 0, endSeconds: 10 };

  it('comes nearer where the pointer is', () => {
    const near = moved({ ...whole, whole }, { kind: 'zoom', factor: 0.5, at: 0.2 });
    expect([near.startSeconds, near.endSeconds]).toEqual([1, 6]);
  });

  it('never leaves the step', () => {
    const near = moved({ startSeconds: 8, endSeconds: 9, whole }, { kind: 'pan', fraction: 5 });
    expect([near.startSeconds, near.endSeconds]).toEqual([9, 10]);
    expect(moved(near, { kind: 'zoom', factor: 100, at: 0.5 })).toMatchObject(whole);
  });

  it('has an axis of round numbers with room between them', () => {
    const view = { startSeconds: 0.3, endSeconds: 10, top: 0, width: 500, height: 100 };
    expect(ticks(view)).toEqual([2, 4, 6, 8, 10]);
  });
});
