import { NativeSelect, TextInput } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { Label } from '@/job/fields/Label';
import { Panel } from '@/ui/Panel';

import classes from './CreateTask.module.css';
import type { FieldsProps } from './draft';

const TEXTS = [
  ...(['sequenceLength', 'batch', 'steps'] as const),
  ...(['tensorParallel', 'pipelineParallel', 'dataParallel'] as const),
  ...(['data', 'checkpoints', 'checkpointEvery', 'budget', 'priority'] as const),
];
const BACKENDS = ['', 'local', 'ssh', 'slurm', 'kubernetes', 'skypilot'];
const DEVICES = ['', 'cuda', 'cpu'];

/** How it is trained and started; what is empty is decided by the server. */
export function RunFields({ draft, errorOf, set }: FieldsProps) {
  const { t } = useTranslation('tasks');
  return (
    <Panel title={t('create.run')}>
      <div className={classes.grid}>
        {TEXTS.map((name) => (
          <TextInput
            key={name}
            label={<Label label={t(`create.${name}.label`)} help={t(`create.${name}.help`)} />}
            aria-label={t(`create.${name}.label`)}
            placeholder={t(`create.${name}.empty`)}
            value={draft[name]}
            error={errorOf(name)}
            spellCheck={false}
            onChange={(event) => {
              set({ [name]: event.currentTarget.value });
            }}
          />
        ))}
        <NativeSelect
          label={<Label label={t('create.backend.label')} help={t('create.backend.help')} />}
          aria-label={t('create.backend.label')}
          value={draft.backend}
          error={errorOf('backend')}
          data={BACKENDS.map((value) => ({ value, label: value === '' ? t('create.backend.empty') : value }))}
          onChange={(event) => {
            set({ backend: event.currentTarget.value });
          }}
        />
        <NativeSelect
          label={<Label label={t('create.device.label')} help={t('create.device.help')} />}
          aria-label={t('create.device.label')}
          value={draft.device}
          error={errorOf('device')}
          data={DEVICES.map((value) => ({ value, label: value === '' ? t('create.device.empty') : value }))}
          onChange={(event) => {
            set({ device: event.currentTarget.value });
          }}
        />
      </div>
    </Panel>
  );
}
