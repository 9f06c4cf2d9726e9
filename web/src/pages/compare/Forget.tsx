import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useMutation } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import { answer, api } from '@/api/client';
import { Problem } from '@/api/problem';
import { ProblemPanel } from '@/ui/ProblemPanel';

interface Props {
  ids: readonly string[];
  onForgotten: () => void;
}

/** Takes away for good what is chosen, once somebody is sure. */
export function Forget({ ids, onForgotten }: Props) {
  const { t } = useTranslation('compare');
  const [isAsking, { open, close }] = useDisclosure(false);
  const forget = useMutation({
    mutationFn: () => Promise.all(ids.map(forgotten)),
    onSuccess: () => {
      close();
      onForgotten();
    },
  });
  return (
    <>
      <Button variant="subtle" color="red" size="compact-xs" onClick={open}>
        {t('forget.ask', { count: ids.length })}
      </Button>
      <Modal
        opened={isAsking}
        onClose={close}
        title={t('forget.ask', { count: ids.length })}
        closeButtonProps={{ 'aria-label': t('forget.cancel') }}
      >
        <Stack gap="sm">
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

async function forgotten(run_id: string): Promise<void> {
  try {
    await answer(api.DELETE('/api/v1/runs/{run_id}', { params: { path: { run_id } } }));
  } catch (problem) {
    if (!(problem instanceof Problem && problem.status === 404)) throw problem; // somebody else was first
  }
}
