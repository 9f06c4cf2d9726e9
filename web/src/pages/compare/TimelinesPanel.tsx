import { useIntersection, useMergedRef } from '@mantine/hooks';
import { lazy, Suspense, useState, type Ref } from 'react';
import { useTranslation } from 'react-i18next';

import { Loading } from '@/ui/Loading';
import { Panel } from '@/ui/Panel';

import classes from './ComparePage.module.css';
import type { TimelinesProps } from './Timelines';

const Timelines = lazy(() => import('./Timelines'));

/** The steps of the sides on one axis of time; nothing of it is asked for before it comes into sight. */
export function TimelinesPanel({ panelRef, ...props }: TimelinesProps & { panelRef: Ref<HTMLDivElement> }) {
  const { t } = useTranslation('compare');
  const { ref, entry } = useIntersection<HTMLDivElement>();
  const [isSeen, setIsSeen] = useState(false);
  if (entry?.isIntersecting === true && !isSeen) setIsSeen(true);
  const waiting = (
    <Panel title={t('timelines.title')}>
      <Loading height={600} />
    </Panel>
  );
  return (
    <div ref={useMergedRef(panelRef, ref)} className={classes.timelines} tabIndex={-1}>
      {isSeen ? (
        <Suspense fallback={waiting}>
          <Timelines {...props} />
        </Suspense>
      ) : (
        waiting
      )}
    </div>
  );
}
