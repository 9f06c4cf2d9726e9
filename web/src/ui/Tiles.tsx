import type { ReactNode } from 'react';

import classes from './Tiles.module.css';

interface TilesProps {
  /** A class that sets `--columns`, as in `grid-template-columns`; without it as many as there is room for. */
  className?: string | undefined;
  isStale?: boolean;
  testId: string;
  children: ReactNode;
}

/** The numbers that something is judged by, in one frame. */
export function Tiles({ className = '', isStale = false, testId, children }: TilesProps) {
  return (
    <dl className={`${classes.tiles ?? ''} ${className}`} data-stale={isStale} data-testid={testId}>
      {children}
    </dl>
  );
}

interface TileProps {
  label: string;
  /** What the label means, where the pointer rests. */
  help?: string;
  /** Which field of the API it is. */
  field: string;
  note?: ReactNode;
  /** The number. */
  children: ReactNode;
}

/** One number: what it is, its value, and what puts it into proportion. */
export function Tile({ label, help, field, note, children }: TileProps) {
  return (
    <div className={classes.tile}>
      <dt title={help}>{label}</dt>
      <dd className={classes.value} data-field={field}>
        {children}
      </dd>
      {note != null && <dd className={classes.note}>{note}</dd>}
    </div>
  );
}
