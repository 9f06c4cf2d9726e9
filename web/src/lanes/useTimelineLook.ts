import { useMemo } from 'react';

import { usePalette } from '@/theme/usePalette';

import type { Look } from './draw';
import { meaningOf } from './scene';

/** Colours and type of the theme, as a canvas takes them. */
export function useTimelineLook(categories: readonly string[]): Look {
  const { palette, scheme } = usePalette();
  return useMemo(() => {
    const style = getComputedStyle(document.documentElement);
    const variable = (name: string) => style.getPropertyValue(name).trim();
    return {
      colours: categories.map((category) => rgb(palette[meaningOf(category)])),
      text: scheme === 'dark' ? '#e6e9ee' : '#1b2027',
      onSlice: scheme === 'dark' ? '#0c0f14' : '#ffffff',
      line: variable('--cz-line') || '#8884',
      accent: scheme === 'dark' ? '#ffffff' : '#1b2027',
      font: `11px ${getComputedStyle(document.body).fontFamily}`,
    };
  }, [categories, palette, scheme]);
}

function rgb(hex: string): [number, number, number] {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)) as [number, number, number];
}
