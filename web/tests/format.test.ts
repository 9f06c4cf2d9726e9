/** The cases of `tests/unit/units_cases.json`, which the Python twin passes, too. */
import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import {
  formatChange,
  formatDifference,
  formatDigest,
  formatField,
  formatQuantity,
  quantityOf,
  type Quantity,
} from '@/format';

interface Case {
  quantity: Quantity;
  value: number | null;
  text: string;
}

const CASES = JSON.parse(readFileSync('../tests/unit/units_cases.json', 'utf8')) as { format: Case[] };

describe('format', () => {
  it.each(CASES.format)('writes $quantity $value as $text', ({ quantity, value, text }) => {
    expect(formatQuantity(quantity, value)).toBe(text);
  });

  it('gives a tie to the even digit, as Python does', () => {
    expect(formatQuantity('bytes', 1.125e9)).toBe('1.12 GB');
    expect(formatQuantity('bytes', 1.375e9)).toBe('1.38 GB');
    expect(formatQuantity('dollars', 2.125)).toBe('2.12 USD');
    expect(formatQuantity('dollars', 1234.5)).toBe('1234 USD');
  });

  it.each([
    ['step_seconds', 'seconds'],
    ['memory.peak_bytes', 'bytes'],
    ['bytes_per_second', 'bytes_per_second'],
    ['tokens_per_second_per_gpu', 'tokens_per_second_per_gpu'],
    ['dollars_per_hour', 'dollars_per_hour'],
    ['mfu', 'mfu'],
    ['num_gpus', 'count'],
  ])('knows what %s is', (name, quantity) => {
    expect(quantityOf(name)).toBe(quantity);
  });

  it('writes of a digest what tells it from others', () => {
    const digits = '484581c891a7afdcdb3127254f9a75eb';
    expect(formatDigest(`sha256-${digits}`)).toBe('484581c891a7');
    expect(formatDigest(digits)).toBe('484581c891a7');
  });

  it('tells of what has no number in the language of the reader', () => {
    expect(formatField('total_dollars', null, 'zh')).toBe('未知');
    expect(formatField('fits', true, 'zh')).toBe('是');
    expect(formatField('node_groups[0].dollars_per_gpu_second', 2 / 3600)).toBe('2.00 USD/h');
  });

  it('shows the sign of a change', () => {
    expect(formatChange('step_seconds', 1.5)).toBe('+1.5 s');
    expect(formatChange('step_seconds', -1.5)).toBe('−1.5 s');
    expect(formatChange('more_fraction', 0.05)).toBe('+5 %');
  });

  it('shows the difference of two shares in points', () => {
    expect(formatDifference('step_seconds', 1.5)).toBe('+1.5 s');
    expect(formatDifference('mfu', -0.05)).toBe('−5 points');
    expect(formatDifference('bubble_fraction', 0.05, 'zh')).toBe('+5 个百分点');
  });
});
