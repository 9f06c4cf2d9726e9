import { Group, Paper, Text, Title } from '@mantine/core';
import { useId, type ReactNode } from 'react';

import classes from './Panel.module.css';

interface Props {
  title: string;
  /** Beside the title, faintly: how many there are, where they are from. */
  note?: string | undefined;
  /** At the end of the title's line: a legend, a switch. */
  aside?: ReactNode;
  /** Whether what is in it is of inputs that have changed since. */
  isStale?: boolean;
  children: ReactNode;
}

/** One subject of a page. */
export function Panel({ title, note, aside, isStale = false, children }: Props) {
  const id = useId();
  return (
    <Paper component="section" aria-labelledby={id} className={classes.panel}>
      <Group justify="space-between" className={classes.head}>
        <Title order={2} id={id}>
          {title}
        </Title>
        {note != null && (
          <Text span size="xs" c="dimmed">
            {note}
          </Text>
        )}
        {aside}
      </Group>
      <div className={classes.body} data-stale={isStale}>
        {children}
      </div>
    </Paper>
  );
}
