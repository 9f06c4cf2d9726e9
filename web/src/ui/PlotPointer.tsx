import { Tooltip } from '@mantine/core';
import { useState, type KeyboardEvent, type PointerEvent, type ReactNode } from 'react';

import type { Column } from './DataTable';
import { nearest, type Look } from './plotLook';
import classes from './Plot.module.css';

interface Props<Row> {
  label: string;
  columns: readonly Column<Row>[];
  look: Look<Row>;
  size: { width: number; height: number };
  /** A point for who cannot see it; null: all of them. */
  inWords: (row: Row | null) => string;
  children: ReactNode;
}

/** A drawing whose points are walked with the pointer or the arrow keys: to who cannot see it, a slider along them. */
export function PlotPointer<Row>({ label, columns, look, size, inWords, children }: Props<Row>) {
  const [index, setIndex] = useState(-1);
  const { points, isCourse, top, bottom } = look;
  const point = points[index];
  const onPointer = (event: PointerEvent<SVGSVGElement>) => {
    const { left, top } = event.currentTarget.getBoundingClientRect();
    const places = points.map(({ mark }) => mark.at);
    setIndex(nearest(places, [event.clientX - left, event.clientY - top], isCourse));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const next = walked(event.key, index, points.length);
    if (next == null) return;
    setIndex(next);
    event.preventDefault();
  };
  const leave = () => {
    setIndex(-1);
  };
  return (
    <svg
      {...size}
      className={classes.drawing}
      role="slider"
      tabIndex={0}
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={points.length}
      aria-valuenow={index + 1}
      aria-valuetext={inWords(point?.row ?? null)}
      onPointerMove={onPointer}
      onPointerDown={onPointer}
      onPointerLeave={leave}
      onKeyDown={onKeyDown}
      onBlur={leave}
    >
      {children}
      {point != null && (
        <>
          {isCourse && (
            <line x1={point.mark.at[0]} x2={point.mark.at[0]} y1={top} y2={bottom} className={classes.cross} />
          )}
          <Tooltip
            key={index}
            opened
            withArrow={false}
            className={classes.bubble}
            label={<Told columns={columns} row={point.row} />}
            transitionProps={{ duration: 0 }}
          >
            <circle
              cx={point.mark.at[0]}
              cy={point.mark.at[1]}
              r={point.mark.radius + 2}
              className={classes.ring}
              stroke={`var(--cz-${point.mark.meaning})`}
            />
          </Tooltip>
        </>
      )}
    </svg>
  );
}

function Told<Row>({ columns, row }: { columns: readonly Column<Row>[]; row: Row }) {
  return (
    <dl className={classes.told}>
      {columns.map(({ key, title, value, cell }) => (
        <div key={key}>
          <dt>{title}</dt>
          <dd>{cell == null ? value(row) : cell(row)}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Where a key leads from a point; null: it is none of ours. */
function walked(key: string, index: number, count: number): number | null {
  if (key === 'ArrowRight' || key === 'ArrowUp') return Math.min(index + 1, count - 1);
  if (key === 'ArrowLeft' || key === 'ArrowDown') return Math.max(index - 1, 0);
  return { Home: 0, End: count - 1, Escape: -1 }[key] ?? null;
}
