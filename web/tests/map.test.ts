/** Where zones and links of the map are drawn, and which ranks share a group. */
import { describe, expect, it } from 'vitest';

import { distance, fitted, onScreen, ring, spread, zoomed } from '../src/pages/map/layout';
import { coordinate, groupOf, strength } from '../src/pages/map/ranks';

const SIZE = { width: 800, height: 500 };
const gpu = (rank: number, place: Partial<Record<'pp' | 'dp' | 'tp' | 'cp' | 'ep', number>>) => ({
  ...{ gpu: rank, rank, pp: 0, dp: 0, tp: 0, cp: 0, ep: 0 },
  ...place,
});

describe('layout', () => {
  it('shows every zone of a hundred inside the map', () => {
    const places = ring(100);
    const view = fitted(places, SIZE, 1.4);
    for (const place of places) {
      const { x, y } = onScreen(place, { x: 0, y: 0 }, view);
      expect(x > 0 && x < SIZE.width && y > 0 && y < SIZE.height).toBe(true);
    }
  });

  it('keeps the point under the pointer where it is', () => {
    const [view, at] = [
      { scale: 2, x: 30, y: 40 },
      { x: 100, y: 200 },
    ];
    const next = zoomed(view, 1.5, at);
    expect((at.x - next.x) / next.scale).toBeCloseTo((at.x - view.x) / view.scale);
    expect((at.y - next.y) / next.scale).toBeCloseTo((at.y - view.y) / view.scale);
  });

  it('moves zones of one place apart, and no others', () => {
    const offsets = spread([
      { x: 1, y: 1 },
      { x: 1, y: 1 },
      { x: 50, y: 9 },
    ]);
    expect(offsets[2]).toEqual({ x: 0, y: 0 });
    const [one, other] = offsets;
    expect(Math.hypot((one?.x ?? 0) - (other?.x ?? 0), (one?.y ?? 0) - (other?.y ?? 0))).toBeGreaterThan(20);
  });

  it('tells the two directions of a link apart', () => {
    const [west, east] = [
      { x: 0, y: 0 },
      { x: 200, y: 0 },
    ];
    const below = { x: 100, y: 20 };
    expect(distance(below, west, east)).toBeLessThan(2);
    expect(distance(below, east, west)).toBeGreaterThan(30);
  });
});

describe('ranks', () => {
  it('share the group of the one axis in which they differ', () => {
    const one = gpu(0, {});
    expect(groupOf(one, gpu(1, { tp: 1 }))).toBe('tp');
    expect(groupOf(one, gpu(2, { pp: 1, ep: 3 }))).toBe('pp');
    expect(groupOf(one, gpu(3, { tp: 1, dp: 1 }))).toBeNull();
    expect(groupOf(one, one)).toBeNull();
  });

  it('are told by their place along the axes that split anything', () => {
    expect(coordinate(gpu(7, { pp: 2, tp: 1 }), ['pp', 'tp'])).toBe('p2 t1');
  });

  it('have the stronger colour the higher their index', () => {
    const all = [gpu(0, { pp: 4 }), gpu(1, { pp: 5 }), gpu(2, { pp: 6 })];
    const depths = all.map((each) => strength(each, 'pp', all) ?? 0);
    expect(depths[0]).toBeLessThan(depths[1] ?? 0);
    expect(depths[1]).toBeLessThan(depths[2] ?? 0);
  });
});
