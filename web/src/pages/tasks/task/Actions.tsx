import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { RotateCcw, Square } from 'lucide-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useNavigate } from 'react-router';

import { answer, api, idempotencyKey, ifMatch } from '@/api/client';
import { ProblemPanel } from '@/ui/ProblemPanel';
import { RunAgain } from '@/ui/RunAgain';

import { hasEnded, type Task } from '../queries';

/** Stop what runs, or ask for the same again once it is over; both are asked about first. */
export function Actions({ task }: { task: Task }) {
  const { t } = useTranslation('tasks');
  const [isOpen, { open, close }] = useDisclosure(false);
  const isOver = hasEnded(task);
  const action = useAction(task, isOver, close);
  const about = isOver ? 'again' : 'stop';
  const shared = {
    title: t(`task.${about}.question`, { name: task.name }),
    why: t(`task.${about}.why`, { nodes: task.nodes.length, gpus: task.num_gpus }),
    submit: t(`task.${about}.title`),
  };
  return (
    <>
      <Button
        variant="default"
        color={isOver ? 'accent' : 'red'}
        leftSection={isOver ? <RotateCcw size={14} aria-hidden /> : <Square size={14} aria-hidden />}
        disabled={!isOver && task.is_stop_asked}
        onClick={open}
      >
        {shared.submit}
      </Button>
      {isOpen && isOver && (
        <RunAgain
          {...shared}
          request={task.request as Record<string, unknown>}
          isBusy={action.isPending}
          problem={action.error}
          onSure={action.mutate}
          onClose={close}
        />
      )}
      {isOpen && !isOver && (
        <Modal opened onClose={close} title={shared.title} closeButtonProps={{ 'aria-label': t('cancel') }}>
          <Stack gap="sm">
            <Text size="sm">{shared.why}</Text>
            {action.error != null && <ProblemPanel problem={action.error} />}
            <Group justify="flex-end" gap="xs">
              <Button variant="default" onClick={close} data-autofocus>
                {t('cancel')}
              </Button>
              <Button
                color="red"
                loading={action.isPending}
                onClick={() => {
                  action.mutate();
                }}
              >
                {shared.submit}
              </Button>
            </Group>
          </Stack>
        </Modal>
      )}
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
