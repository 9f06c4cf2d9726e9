import { Button, Group, Modal, SegmentedControl, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useNavigate } from 'react-router';

import { answer, api, idempotencyKey } from '@/api/client';
import { useTerm } from '@/i18n/useLanguage';
import { useJob } from '@/job/JobContext';
import type { Job } from '@/job/path';
import { useAnswer } from '@/job/useAnswer';
import { ProblemPanel } from '@/ui/ProblemPanel';
import { Quantity } from '@/ui/Quantity';

import classes from './DeployPage.module.css';
import { said, type Options } from './render';

type Mode = 'export' | 'new';

/** Ask before anything is kept or started; what rents nodes costs money, and its name must be typed. */
export function Confirm({ options, onClose }: { options: Options; onClose: () => void }) {
  const { t } = useTranslation('deploy');
  const term = useTerm();
  const { job } = useJob();
  const { chosen } = useAnswer();
  const [name, setName] = useState(() => `${options.framework}-${options.backend}`);
  const [typed, setTyped] = useState('');
  const [mode, setMode] = useState<Mode>('export');
  const [key] = useState(idempotencyKey);
  const navigate = useNavigate();
  const queries = useQueryClient();
  const creation = useMutation({
    mutationFn: () => {
      const body = taskOf(job, options, name, mode) as never;
      return answer(api.POST('/api/v1/training-tasks', { body, headers: key }));
    },
    onSuccess: async ({ data }) => {
      await queries.invalidateQueries({ queryKey: ['tasks'] });
      await navigate(`/tasks/${data.taskId}`, { state: { isNew: true } });
    },
  });
  const isSure = mode === 'export' || typed === name;
  return (
    <Modal opened onClose={onClose} title={t('confirm.title')} closeButtonProps={{ 'aria-label': t('cancel') }}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (isSure) creation.mutate();
        }}
      >
        <Stack gap="sm">
          <SegmentedControl
            aria-label={t('confirm.what')}
            value={mode}
            data={(['export', 'new'] as const).map((value) => ({ value, label: t(`confirm.${value}.title`) }))}
            onChange={(value) => {
              setMode(value as Mode);
            }}
          />
          <Text size="sm">
            {t(`confirm.${mode}.why`, { framework: term('framework', options.framework), backend: options.backend })}
          </Text>
          {mode === 'new' && (
            <Text size="sm" className={classes.cost}>
              {t('confirm.cost')} <Quantity name="gpu_dollars" value={chosen?.prediction.gpu_dollars} />
            </Text>
          )}
          <TextInput
            label={t('confirm.name')}
            value={name}
            onChange={(event) => {
              setName(event.currentTarget.value);
            }}
          />
          {mode === 'new' && (
            <TextInput
              label={t('confirm.type', { name })}
              value={typed}
              autoComplete="off"
              onChange={(event) => {
                setTyped(event.currentTarget.value);
              }}
            />
          )}
          {creation.error != null && <ProblemPanel problem={creation.error} />}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              {t('cancel')}
            </Button>
            <Button type="submit" disabled={!isSure} loading={creation.isPending}>
              {t('confirm.send')}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

/** The job as a request for a task, whose nodes are those of the job. */
export function taskOf(job: Job, options: Options, name: string, mode: Mode): Record<string, unknown> {
  const cluster = (job['cluster'] ?? {}) as { zones?: unknown[]; links?: unknown[]; default_link?: unknown };
  const keys = ['workload', 'objective', 'constraints'].filter((key) => job[key] != null);
  return {
    taskName: name,
    datasetId: 'synthetic',
    datasetVersionId: '1',
    model: job['model'],
    launchMode: mode,
    distributedConfig: {
      zones: cluster.zones ?? [],
      ...(cluster.links == null ? {} : { links: cluster.links }),
      ...(cluster.default_link == null ? {} : { defaultLink: cluster.default_link }),
      framework: options.framework,
      ...(job['plan'] == null ? {} : { strategy: { plan: job['plan'] } }),
    },
    ...Object.fromEntries(keys.map((key) => [key, job[key]])),
    deployment: { ...said(options), backend: options.backend },
  };
}
