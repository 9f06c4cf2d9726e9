import { Stack, Text } from '@mantine/core';
import type { ReactNode } from 'react';

/** What is shown where nothing is there yet: why, and what to do. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <Stack align="center" gap={6} py={64} px="md" ta="center">
      <Text fw={560}>{title}</Text>
      <Text component="div" size="sm" c="dimmed" maw={460}>
        {children}
      </Text>
    </Stack>
  );
}
