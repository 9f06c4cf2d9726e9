import { Button, Group, Modal, Skeleton, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, answerWithTag, api, ifMatch } from '@/api/client';
import { Problem } from '@/api/problem';
import { useFormat } from '@/i18n/useLanguage';
import { ProblemPanel } from '@/ui/ProblemPanel';

import { changesOf, EMPTY_ENTRY, entryOf, KEYS, type Entry } from './entry';
import classes from './Forms.module.css';

/** One environment, new or known. Who was overtaken by somebody else is told, and loses nothing that was typed. */
export function EditEnvironment({ id, onClose }: { id: string | null; onClose: () => void }) {
  const { t } = useTranslation('environments');
  const format = useFormat();
  const { data, error } = useQuery({
    queryKey: ['environment', id],
    queryFn: () =>
      answerWithTag(
        api.GET('/api/v1/environments/{environment_id}', { params: { path: { environment_id: id ?? '' } } }),
      ),
    enabled: id != null,
    gcTime: 0,
  });
  const before = data == null ? EMPTY_ENTRY : entryOf(data.data, format.field);
  return (
    <Modal
      opened
      onClose={onClose}
      size="lg"
      title={id == null ? t('add') : (data?.data.name ?? t('edit.title'))}
      closeButtonProps={{ 'aria-label': t('cancel') }}
    >
      {error != null && <ProblemPanel problem={error} />}
      {id != null && data == null && error == null && <Skeleton height={320} />}
      {(id == null || data != null) && (
        <Form key={data?.tag} id={id} before={before} tag={data?.tag ?? ''} onClose={onClose} />
      )}
    </Modal>
  );
}

interface FormProps {
  id: string | null;
  before: Entry;
  tag: string;
  onClose: () => void;
}

function Form({ id, before, tag, onClose }: FormProps) {
  const { t } = useTranslation('environments');
  const [first] = useState(before);
  const [entry, setEntry] = useState(before);
  const { save, remove } = useChanges({ id, tag, onClose });
  const [isRemoving, setRemoving] = useState(false);
  const problem = save.error ?? remove.error;
  const errors = problem instanceof Problem ? problem.errors : [];
  const isStale = problem instanceof Problem && problem.status === 412;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate(changesOf(first, entry));
      }}
    >
      <Stack gap="sm">
        <div className={classes.grid}>
          {KEYS.map((key) => (
            <TextInput
              key={key}
              label={t(`keys.${key}.label`)}
              placeholder={t(`keys.${key}.example`)}
              value={entry[key]}
              error={errors.find(({ where }) => where === key)?.message}
              spellCheck={false}
              onChange={(event) => {
                setEntry({ ...entry, [key]: event.currentTarget.value });
              }}
            />
          ))}
        </div>
        {isStale && <Text size="sm">{t('edit.stale')}</Text>}
        {problem != null && <ProblemPanel problem={problem} />}
        <Group justify="space-between">
          {id == null ? (
            <span />
          ) : (
            <Button
              variant="subtle"
              color="red"
              loading={remove.isPending}
              onClick={() => {
                if (isRemoving) remove.mutate();
                else setRemoving(true);
              }}
            >
              {t(isRemoving ? 'edit.reallyRemove' : 'edit.remove')}
            </Button>
          )}
          <Group gap="xs">
            <Button variant="default" onClick={onClose}>
              {t('cancel')}
            </Button>
            <Button type="submit" loading={save.isPending}>
              {t('edit.save')}
            </Button>
          </Group>
        </Group>
      </Stack>
    </form>
  );
}

function useChanges({ id, tag, onClose }: { id: string | null; tag: string; onClose: () => void }) {
  const queries = useQueryClient();
  const params = { path: { environment_id: id ?? '' } };
  const headers = tag === '' ? {} : ifMatch(tag);
  const onSuccess = async () => {
    await queries.invalidateQueries({ queryKey: ['environments'] });
    onClose();
  };
  const save = useMutation({
    mutationFn: (changes: Record<string, unknown>) => {
      const body = changes as never;
      return id == null
        ? answer(api.POST('/api/v1/environments', { body }))
        : answer(api.PATCH('/api/v1/environments/{environment_id}', { params, headers, body }));
    },
    onSuccess,
  });
  const remove = useMutation({
    mutationFn: () => answer(api.DELETE('/api/v1/environments/{environment_id}', { params, headers })),
    onSuccess,
  });
  return { save, remove };
}
