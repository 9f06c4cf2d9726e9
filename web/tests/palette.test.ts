/** Colours can be told from their ground: the contrast of WCAG 2.2, computed of the tokens as they are. */
import { describe, expect, it } from 'vitest';

import { MEANINGS, palette, type Scheme } from '@/theme/palette';
import { cssVariables, theme } from '@/theme/theme';

const TEXT_RATIO = 4.5; // success criterion 1.4.3
const SHAPE_RATIO = 3; // success criterion 1.4.11
const GROUNDS = ['--cz-ground', '--cz-surface'] as const;
/** What marks no limit of its own: the grey that idle time and rest are drawn in, beside coloured neighbours. */
const QUIET = new Set(['bubble']);

describe.each(['light', 'dark'] as const)('%s', (scheme) => {
  const tokens = cssVariables({} as Parameters<typeof cssVariables>[0])[scheme];
  const colours = palette(scheme);

  it.each(GROUNDS)('writes readable text on %s', (ground) => {
    const inks = { dimmed: tokens['--mantine-color-dimmed'], text: textOf(scheme) };
    for (const [name, ink] of Object.entries(inks)) {
      expect([name, contrast(ink ?? '', tokens[ground] ?? '') >= TEXT_RATIO]).toEqual([name, true]);
    }
  });

  it.each(GROUNDS)('draws every meaning so that it is seen on %s', (ground) => {
    const faint = MEANINGS.filter((meaning) => contrast(colours[meaning], tokens[ground] ?? '') < SHAPE_RATIO);
    expect(faint.filter((meaning) => !QUIET.has(meaning))).toEqual([]);
  });
});

describe('contrast', () => {
  it('is 21 of black on white, and the same both ways', () => {
    expect(contrast('#000000', '#ffffff')).toBeCloseTo(21, 5);
    expect(contrast('#777777', '#ffffff')).toBeCloseTo(4.48, 2);
    expect(contrast('#ffffff', '#777777')).toBe(contrast('#777777', '#ffffff'));
  });
});

function textOf(scheme: Scheme): string {
  return scheme === 'dark' ? (theme.colors?.dark?.[0] ?? '') : '#000000';
}

/** (lighter + 0.05) / (darker + 0.05), of relative luminances. Source: WCAG 2.2, "contrast ratio". */
function contrast(one: string, other: string): number {
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

/** Of sRGB. Source: WCAG 2.2, "relative luminance". */
function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
