import { useMantineColorScheme, type MantineColorScheme } from '@mantine/core';
import { useCallback, useEffect, useRef } from 'react';
import { flushSync } from 'react-dom';

/** Until canvases are drawn in other colours. */
const DRAWN_MILLISECONDS = 150;

/** Prints in light colours, whatever the screen has: paper is white. */
export function usePrint(): () => void {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const before = useRef<MantineColorScheme>(null);
  const begin = useCallback(() => {
    before.current ??= colorScheme;
    flushSync(() => {
      setColorScheme('light');
    });
  }, [colorScheme, setColorScheme]);
  useEffect(() => {
    const end = () => {
      if (before.current != null) setColorScheme(before.current);
      before.current = null;
    };
    addEventListener('beforeprint', begin);
    addEventListener('afterprint', end);
    return () => {
      removeEventListener('beforeprint', begin);
      removeEventListener('afterprint', end);
    };
  }, [begin, setColorScheme]);
  return () => {
    begin();
    setTimeout(() => {
      print();
    }, DRAWN_MILLISECONDS);
  };
}
