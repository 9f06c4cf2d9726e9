import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { RotateCcw, Square } from 'lucide-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useNavigate } from 'react-router';

import { answer, api, idempotencyKey, ifMatch } from '@/api/client';
import { ProblemPanel } from '@/ui/ProblemPanel';

import { hasEnded, type Task } from '../queries';

/** Stop what runs, or ask for the same again once it is over; both are asked about first. */
export function Actions({ task }: { task: Task }) {
  const { t } = useTranslation('tasks');
  const [isOpen, { open, close }] = useDisclosure(false);
  const isOver = hasEnded(task);
  const action = useAction(task, isOver, close);
  const about = isOver ? 'again' : 'stop';
  return (
    <>
      <Button
        variant="default"
        color={isOver ? 'accent' : 'red'}
        leftSection={isOver ? <RotateCcw size={14} aria-hidden /> : <Square size={14} aria-hidden />}
        disabled={!isOver && task.is_stop_asked}
        onClick={open}
      >
        {t(`task.${about}.title`)}
      </Button>
      <Modal
        opened={isOpen}
        onClose={close}
        title={t(`task.${about}.question`, { name: task.name })}
        closeButtonProps={{ 'aria-label': t('cancel') }}
      >
        <Stack gap="sm">
          <Text size="sm">{t(`task.${about}.why`, { nodes: task.nodes.length, gpus: task.num_gpus })}</Text>
          {action.error != null && <ProblemPanel problem={action.error} />}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={close} data-autofocus>
              {t('cancel')}
            </Button>
            <Button
              color={isOver ? 'accent' : 'red'}
              loading={action.isPending}
              onClick={() => {
                action.mutate();
              }}
            >
              {t(`task.${about}.title`)}
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  );
}

function useAction(task: Task, isOver: boolean, onDone: () => void) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [key] = useState(idempotencyKey);
  return useMutation({
    mutationFn: async () => {
      if (isOver) {
        const { data } = await answer(
          api.POST('/api/v1/training-tasks', { body: task.request as never, headers: key }),
        );
        return data.taskId;
      }
      const path = { task_id: task.id };
      const headers = ifMatch(`"${String(task.version)}"`);
      await answer(api.POST('/api/v1/training-tasks/{task_id}/stop', { params: { path }, headers }));
      return task.id;
    },
    onSettled: () => queries.invalidateQueries({ queryKey: ['tasks'] }),
    onSuccess: async (id) => {
      onDone();
      if (id !== task.id) await navigate(`/tasks/${id}`, { state: { isNew: true } });
    },
  });
}
