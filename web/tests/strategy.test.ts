import { describe, expect, it } from 'vitest';

import { AXES, goodness, knownAxes, type Axis, type Contender } from '@/pages/strategy/Radar';

const axis = (name: string) => AXES.find((one) => one.name === name) as Axis;

describe('the radar', () => {
  it('draws the best outside, and half as good half way in', () => {
    expect(goodness(axis('step_seconds'), 10, 10)).toBe(1);
    expect(goodness(axis('step_seconds'), 20, 10)).toBe(0.5);
    expect(goodness(axis('mfu'), 0.2, 0.4)).toBe(0.5);
    expect(goodness(axis('exposed_communication_fraction'), 0, 0)).toBe(1);
  });

  it('has no axis of what one of the contenders does not know', () => {
    const one = (total: number | null) =>
      ({
        prediction: { step_seconds: 1, mfu: 1, memory: {}, costs: { total_dollars: total } },
      }) as unknown as Contender;
    const names = (contenders: Contender[]) => knownAxes(contenders).map(({ name }) => name);
    expect(names([one(1), one(2)])).toContain('total_dollars');
    expect(names([one(1), one(null)])).not.toContain('total_dollars');
  });
});
