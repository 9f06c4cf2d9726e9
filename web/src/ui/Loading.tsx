import { Skeleton, Stack } from '@mantine/core';
import { useTranslation } from 'react-i18next';

/** The shape of what is to come, so that nothing jumps when it does. */
export function Loading({ height = 320, isWhole = false }: { height?: number; isWhole?: boolean }) {
  const label = useTranslation('ui', { useSuspense: false }).t('loading');
  return (
    <Stack p={isWhole ? 'xl' : 'md'} gap="sm" role="status" aria-label={label}>
      <Skeleton height={20} width="28%" />
      <Skeleton height={height} />
    </Stack>
  );
}
