import { Button, FileButton, Group, Modal, NativeSelect, Stack, Text, Textarea, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api } from '@/api/client';
import { ProblemPanel } from '@/ui/ProblemPanel';

import classes from './Forms.module.css';

const FORMATS = ['csv', 'yaml', 'hostfile', 'slurm', 'kubernetes'] as const;
type Format = (typeof FORMATS)[number];

/** A file, or what a scheduler says, is tried first, and imported once nothing is wrong with it: all or nothing. */
export function ImportEnvironments({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation('environments');
  const [format, setFormat] = useState<Format>('csv');
  const [text, setText] = useState('');
  const [zone, setZone] = useState('');
  const reading = useImport({ format, text, zone }, onClose);
  const isTried = reading.isSuccess;
  return (
    <Modal
      opened
      onClose={onClose}
      size="lg"
      title={t('import.title')}
      closeButtonProps={{ 'aria-label': t('cancel') }}
    >
      <Stack gap="sm">
        <Group gap="sm" align="end">
          <NativeSelect
            label={t('import.format')}
            value={format}
            data={FORMATS.map((value) => ({ value, label: t(`import.formats.${value}`) }))}
            onChange={(event) => {
              setFormat(event.currentTarget.value as Format);
              reading.reset();
            }}
          />
          <TextInput
            label={t('import.zone')}
            value={zone}
            onChange={(event) => {
              setZone(event.currentTarget.value);
              reading.reset();
            }}
          />
          <FileButton
            onChange={(file) => {
              void file?.text().then((read) => {
                setText(read);
                reading.reset();
              });
            }}
          >
            {(props) => (
              <Button variant="default" {...props}>
                {t('import.file')}
              </Button>
            )}
          </FileButton>
        </Group>
        <Textarea
          label={t('import.text')}
          description={t(`import.hints.${format}`)}
          classNames={{ input: classes.text ?? '' }}
          rows={9}
          value={text}
          spellCheck={false}
          onChange={(event) => {
            setText(event.currentTarget.value);
            reading.reset();
          }}
        />
        {reading.error != null && <ProblemPanel problem={reading.error} />}
        {reading.data != null && (
          <Text size="sm" role="status">
            {t('import.found', {
              added: reading.data.num_added,
              changed: reading.data.num_changed,
              unchanged: reading.data.num_unchanged,
            })}
          </Text>
        )}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            {t('cancel')}
          </Button>
          <Button
            loading={reading.isPending}
            onClick={() => {
              reading.mutate(!isTried);
            }}
          >
            {t(isTried ? 'import.send' : 'import.try')}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}

function useImport({ format, text, zone }: { format: Format; text: string; zone: string }, onDone: () => void) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (isTried: boolean) => {
      const defaults = zone === '' ? {} : { defaults: { zone } };
      const body = { format, try: isTried, ...defaults, ...(text === '' ? {} : { text }) };
      return answer(api.POST('/api/v1/environments/import', { body }));
    },
    onSuccess: async (_, isTried) => {
      if (isTried) return;
      await queries.invalidateQueries({ queryKey: ['environments'] });
      onDone();
    },
  });
}
