import { Skeleton } from '@mantine/core';
import { lazy, Suspense, type ComponentProps } from 'react';

const CodeEditor = lazy(() => import('./CodeEditor'));

/** A text with syntax colours; with `onChange` it can be changed. Fills the height of what it is in. */
export function CodeView(props: ComponentProps<typeof CodeEditor>) {
  return (
    <Suspense fallback={<Skeleton height="100%" mih={200} />}>
      <CodeEditor {...props} />
    </Suspense>
  );
}
