import { Text, Title } from '@mantine/core';
import { useId, type ReactNode } from 'react';

import classes from './FormLayout.module.css';

/** Fields that belong together. */
export function Section({ title, note, children }: { title: string; note?: string; children: ReactNode }) {
  const id = useId();
  return (
    <section aria-labelledby={id} className={classes.section}>
      <Title order={3} id={id}>
        {title}
      </Title>
      {note != null && (
        <Text size="xs" c="dimmed" mb={6}>
          {note}
        </Text>
      )}
      {children}
    </section>
  );
}

/** Fields beside each other. */
export function Group({ columns, children }: { columns: number; children: ReactNode }) {
  return (
    <div className={classes.group} style={{ gridTemplateColumns: `repeat(${String(columns)}, minmax(0, 1fr))` }}>
      {children}
    </div>
  );
}
