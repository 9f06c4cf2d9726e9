import type { ReactNode } from 'react';

import classes from './PageBody.module.css';

interface Props {
  /** Whether an answer is awaited that will change what is shown. */
  isBusy?: boolean;
  children: ReactNode;
}

/** What is below the header of a page: its panels, one below the other. */
export function PageBody({ isBusy = false, children }: Props) {
  return (
    <div className={classes.body} aria-busy={isBusy}>
      {children}
    </div>
  );
}
