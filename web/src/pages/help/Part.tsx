import { useState, type ReactNode } from 'react';

import classes from './HelpPage.module.css';

interface Props {
  title: string;
  /** Whether it is open at first, and again whenever this changes. */
  isOpen: boolean;
  children: ReactNode;
}

/** One of many tables: the page is a list of their titles, of which those that are asked for are open. */
export function Part({ title, isOpen, children }: Props) {
  const [chosen, choose] = useState<{ by: boolean; isOpen: boolean } | null>(null);
  const shown = chosen?.by === isOpen ? chosen.isOpen : isOpen;
  return (
    <details
      open={shown}
      className={classes.part}
      onToggle={(event) => {
        choose({ by: isOpen, isOpen: event.currentTarget.open });
      }}
    >
      <summary>{title}</summary>
      {shown && children}
    </details>
  );
}
