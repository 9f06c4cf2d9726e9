import { describe, expect, it } from 'vitest';

import { difference } from '@/pages/deploy/difference';

describe('the difference of two texts', () => {
  it('keeps what is the same, and shows what went before what came', () => {
    expect(difference('a\nb\nc\nd', 'a\nB\nc\nd\ne').map(({ kind, text }) => kind[0] + text)).toEqual([
      ...['sa', 'rb', 'aB', 'sc', 'sd', 'ae'],
    ]);
  });

  it('is nothing between equal texts', () => {
    expect(difference('a\nb', 'a\nb').every(({ kind }) => kind === 'same')).toBe(true);
  });
});
