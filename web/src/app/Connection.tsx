import { Group, Text, Tooltip } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import { configurationQuery, readyQuery } from '@/api/queries';
import { Problem } from '@/api/problem';

const COLOURS = { ready: 'var(--cz-good)', starting: 'var(--cz-warn)', offline: 'var(--cz-bad)' };

/** Whether the server answers, and its version. */
export function Connection() {
  const { t } = useTranslation('shell');
  const ready = useQuery(readyQuery);
  const configuration = useQuery(configurationQuery);
  const isOffline = ready.error instanceof Problem && ready.error.kind === 'offline';
  const state = ready.isSuccess && !ready.isError ? 'ready' : isOffline ? 'offline' : 'starting';
  return (
    <Tooltip label={t(`connection.${state}.why`)}>
      <Group gap={8} role="status" wrap="nowrap">
        <svg width={8} height={8} aria-hidden>
          <circle cx={4} cy={4} r={4} fill={COLOURS[state]} />
        </svg>
        <Text size="xs" c="dimmed" truncate>
          {t(`connection.${state}.name`, { version: configuration.data?.version ?? '' })}
        </Text>
      </Group>
    </Tooltip>
  );
}
