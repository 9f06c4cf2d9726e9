import { Button, Group, List, Modal, Stack, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useMutation, useQueries, useQueryClient } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import { answer, api, type Schemas } from '@/api/client';
import { Problem } from '@/api/problem';
import { useFormat } from '@/i18n/useLanguage';
import { ProblemPanel } from '@/ui/ProblemPanel';

import { RUN_LIST } from './savedQuery';

type Run = Pick<Schemas['SavedRun'], 'id' | 'name' | 'created_seconds'>;

interface Props {
  /** Of what is chosen; some may be of nothing that is kept. */
  ids: readonly string[];
  /** What was asked for is done; `left` could not be forgotten. */
  onForgotten: (left: readonly string[]) => void;
}

/** Takes away for good what is chosen, once somebody is sure. */
export function Forget({ ids, onForgotten }: Props) {
  const { t } = useTranslation('compare');
  const format = useFormat();
  const queries = useQueryClient();
  const runs = useChosen(ids);
  const [isAsking, { open, close }] = useDisclosure(false);
  const forget = useMutation({
    mutationFn: async () => {
      const outcomes = await Promise.allSettled(runs.map(forgotten));
      onForgotten(runs.filter((_, index) => outcomes[index]?.status === 'rejected').map(({ id }) => id));
      // What is asked for by the id of something forgotten leaves the screen now: only lists are asked for again.
      await queries.invalidateQueries({ queryKey: ['runs'], refetchType: 'none' });
      await queries.refetchQueries({ queryKey: RUN_LIST, type: 'active' });
      const failed = outcomes.find((outcome) => outcome.status === 'rejected');
      if (failed != null) throw failed.reason;
    },
    onSuccess: close,
  });
  if (runs.length === 0) return null;
  return (
    <>
      <Button
        variant="subtle"
        color="red"
        size="compact-xs"
        onClick={() => {
          forget.reset();
          open();
        }}
      >
        {t('forget.ask', { count: runs.length })}
      </Button>
      <Modal
        opened={isAsking}
        onClose={close}
        title={t('forget.ask', { count: runs.length })}
        closeButtonProps={{ 'aria-label': t('forget.cancel') }}
      >
        <Stack gap="sm">
          <List size="sm">
            {runs.map(({ id, name, created_seconds }) => (
              <List.Item key={id}>
                {name}{' '}
                <Text span size="xs" c="dimmed">
                  {format.exactMoment(created_seconds)}
                </Text>
              </List.Item>
            ))}
          </List>
          <Text size="sm">{t('forget.why')}</Text>
          {forget.error != null && <ProblemPanel problem={forget.error} />}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={close}>
              {t('forget.cancel')}
            </Button>
            <Button
              color="red"
              loading={forget.isPending}
              onClick={() => {
                forget.mutate();
              }}
            >
              {t('forget.do')}
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  );
}

/** Those that are kept, whether a list shows them or not: it may be searched, or have more pages. */
function useChosen(ids: readonly string[]): Run[] {
  return useQueries({
    queries: [...new Set(ids)].map((run_id) => ({
      queryKey: ['runs', run_id],
      queryFn: () => answer(api.GET('/api/v1/runs/{run_id}', { params: { path: { run_id } } })),
      select: ({ id, name, created_seconds }: Run): Run => ({ id, name, created_seconds }),
      staleTime: Infinity, // a run never changes
    })),
    combine: (found) => found.flatMap(({ data }) => data ?? []),
  });
}

async function forgotten({ id: run_id }: Run): Promise<void> {
  try {
    await answer(api.DELETE('/api/v1/runs/{run_id}', { params: { path: { run_id } } }));
  } catch (problem) {
    if (!(problem instanceof Problem && problem.status === 404)) throw problem; // somebody else was first
  }
}
