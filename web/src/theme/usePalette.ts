import { useComputedColorScheme } from '@mantine/core';
import { useMemo } from 'react';

import { palette, type Palette, type Scheme } from './palette';

/** Colours of the scheme on the screen, where CSS variables do not reach: canvases. */
export function usePalette(): { scheme: Scheme; palette: Palette } {
  const scheme = useComputedColorScheme('light');
  return useMemo(() => ({ scheme, palette: palette(scheme) }), [scheme]);
}
