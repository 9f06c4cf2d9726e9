/** Where the marks of a plot stand, and which of them the pointer means. */
import { describe, expect, it } from 'vitest';

import { formatField } from '../src/format';
import { front } from '../src/pages/strategy/Pareto';
import { lookOf, nearest, pathOf, scaleOf, ticksOf } from '../src/ui/plotLook';

const written = (name: string, domain: [number, number], pixels: number, isLog = false) => {
  const axis = { name, domain, isLog };
  return ticksOf(scaleOf(axis, [], [0, pixels]), axis, 60).map((value) => formatField(name, value));
};

describe('ticks', () => {
  it('are round in the unit in which they are written', () => {
    expect(written('step_seconds', [300_000, 520_000], 400)).toEqual(['3.5 d', '4 d', '4.5 d', '5 d', '5.5 d', '6 d']);
    expect(written('peak_bytes', [6e9, 8e9], 400)).toEqual(['6 GB', '6.5 GB', '7 GB', '7.5 GB', '8 GB']);
  });

  it('of a logarithmic axis are as many as there is room for', () => {
    expect(written('step_seconds', [0.05, 20], 300, true)).toEqual(['100 ms', '1 s', '10 s']);
    expect(written('step_seconds', [0.05, 20], 600, true)).toContain('200 ms');
    expect(written('step_seconds', [1e-9, 1e9], 200, true).length).toBeLessThan(5);
    expect(written('step_seconds', [2.1, 4.9], 200, true).length).toBeGreaterThan(1);
  });
});

describe('what is drawn', () => {
  const axis = { title: '', value: ([x]: readonly number[]) => x };
  const content = {
    x: { ...axis, name: 'step' },
    y: { ...axis, name: 'loss', value: ([, y]: readonly number[]) => y },
    series: [
      {
        key: 'loss',
        meaning: 'dp',
        as: 'line',
        rows: [
          [1, 9],
          [2, NaN],
          [3, 7],
          [4, 6],
        ],
      },
    ],
    guides: [{ title: 'predicted', from: [1, 20], to: [4, 20] }],
  } as const;
  const look = lookOf(content, { width: 500, height: 260 }, formatField);

  it('leaves a gap where a value is unknown', () => {
    const path = look.lines.find(({ as }) => as === 'line')?.path;
    expect(path?.match(/M/g)).toHaveLength(2);
    expect(look.points.map(({ row }) => row[0])).toEqual([1, 3, 4]);
  });

  it('has room for a guide that is beyond the values', () => {
    const path = look.lines.find(({ as }) => as === 'guide')?.path;
    expect(Number(/ ([\d.]+)L/.exec(path ?? '')?.[1])).toBeGreaterThanOrEqual(look.top);
  });

  it('stands beside its tick labels, and stays when there is one point alone', () => {
    const one = lookOf(
      { ...content, series: [{ ...content.series[0], rows: [[1, 9]] }] },
      { width: 500, height: 260 },
      formatField,
    );
    expect(one.marks).toHaveLength(1);
    expect(one.marks[0]?.at.every(Number.isFinite)).toBe(true);
    expect(one.left).toBeGreaterThan(20);
  });

  it.each([
    [6.21, 6.255],
    [6.22, 6.2201],
    [6.25, 6.25],
  ])('tells its ticks apart, from %d to %d', (least, most) => {
    const rows = [
      [1, least],
      [2, most],
    ];
    const narrow = { ...content, guides: [], series: [{ ...content.series[0], rows }] };
    for (const height of [160, 260, 520]) {
      const { yTicks } = lookOf(narrow, { width: 500, height }, formatField);
      expect(yTicks.length).toBeGreaterThan(0);
      expect(new Set(yTicks.map(({ text }) => text)).size).toBe(yTicks.length);
    }
  });

  it('goes across before it goes down, where it is a front', () => {
    const places = [
      [0, 0],
      [10, 20],
    ] as const;
    expect([pathOf(places), pathOf(places, true)]).toEqual(['M0 0L10 20', 'M0 0H10V20']);
  });
});

describe('the pointer', () => {
  const places = [
    [0, 0],
    [100, 0],
    [100, 50],
  ] as const;

  it('means the nearest point, and none that is far', () => {
    expect([nearest(places, [95, 45], false), nearest(places, [50, 25], false)]).toEqual([2, -1]);
  });

  it('means a point of a course from anywhere above or below it', () => {
    expect(nearest(places, [60, 500], true)).toBe(1);
  });
});

describe('the front of two axes', () => {
  const plan = (step_seconds: number, total_dollars: number, mtbf_seconds: number) =>
    ({ step_seconds, total_dollars, mtbf_seconds }) as Parameters<typeof front>[0][number];
  const plans = [plan(3, 1, 5), plan(1, 9, 1), plan(2, 9, 9)];

  it('leaves out what another plan beats in both', () => {
    expect(front(plans, 'step_seconds', 'total_dollars')).toEqual([plans[1], plans[0]]);
  });

  it('knows that a longer time between failures is better', () => {
    expect(front(plans, 'step_seconds', 'mtbf_seconds')).toEqual([plans[1], plans[2]]);
  });
});
