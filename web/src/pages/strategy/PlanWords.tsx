import { Text } from '@mantine/core';

import type { Schemas } from '@/api/client';
import { Sentence } from '@/ui/Sentence';

import classes from './Strategy.module.css';

type Plan = Schemas['Plan'];

const DEGREES = ['tp', 'cp', 'ep', 'pp', 'dp'] as const;

/** A plan's degrees, each in the colour of its group; those of 1 are left out. */
export function Degrees({ plan }: { plan: Plan }) {
  const shown = DEGREES.filter((axis) => plan[axis] > 1);
  return (
    <span className={classes.degrees} translate="no">
      {(shown.length === 0 ? (['dp'] as const) : shown).map((axis) => (
        <span key={axis} className={classes.degree}>
          <span style={{ color: `var(--cz-${axis})` }}>{axis}</span> {plan[axis]}
        </span>
      ))}
    </span>
  );
}

/** The zones that work, in the order of the pipeline. */
export function zonesOf(plan: Plan): string[] {
  return [...new Set(plan.replicas.flatMap((replica) => replica.zones))];
}

/** What the engine says in its own words. */
export function Words({ children, isDimmed = false }: { children: string; isDimmed?: boolean }) {
  return (
    <Text component="span" size="sm" {...(isDimmed ? { c: 'dimmed' } : {})}>
      <Sentence>{children}</Sentence>
    </Text>
  );
}

/** A sentence after the other, each with its point. */
export function WordList({ items }: { items: readonly string[] }) {
  return (
    <ul className={classes.words}>
      {items.map((item) => (
        <li key={item}>
          <Sentence>{item}</Sentence>
        </li>
      ))}
    </ul>
  );
}
