import { Autocomplete, NativeSelect, SegmentedControl, Stack, Text, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import { answer, api } from '@/api/client';
import { useNames } from '@/api/queries';
import { useFormat, useTerm } from '@/i18n/useLanguage';
import { Panel } from '@/ui/Panel';

import classes from './CreateTask.module.css';
import { LAUNCH_MODES, SYNTHETIC, type FieldsProps, type LaunchMode } from './draft';

const MOST_SHOWN = 40;
/** Whether the nodes of a way to launch are new; the others can be of either. */
const NODES_OF: Partial<Record<LaunchMode, boolean>> = { existing: false, new: true };

/** What is trained, on what data, and how far it shall go. */
export function BasicFields({ draft, errorOf, set }: FieldsProps) {
  const { t } = useTranslation('tasks');
  const term = useTerm();
  const catalog = useNames('models');
  const registered = useAssets('models').data?.models ?? [];
  const models = [...new Set([...registered.map(({ id }) => id), ...catalog])];
  return (
    <Panel title={t('create.basics')}>
      <Stack gap="sm">
        <div>
          <SegmentedControl
            aria-label={t('create.launchMode')}
            value={draft.launchMode}
            data={LAUNCH_MODES.map((value) => ({ value, label: term('launch_mode', value) }))}
            onChange={(value) => {
              const launchMode = value as LaunchMode;
              set({ launchMode, ...(launchMode in NODES_OF ? { isNew: NODES_OF[launchMode] ?? false } : {}) });
            }}
          />
          <Text size="xs" c="dimmed" mt={4}>
            {t(`create.modes.${draft.launchMode}`)}
          </Text>
          {!(draft.launchMode in NODES_OF) && (
            <SegmentedControl
              mt="xs"
              aria-label={t('create.source.label')}
              value={draft.isNew ? 'new' : 'inventory'}
              data={(['inventory', 'new'] as const).map((value) => ({ value, label: t(`create.source.${value}`) }))}
              onChange={(value) => {
                set({ isNew: value === 'new' });
              }}
            />
          )}
        </div>
        <div className={classes.grid}>
          <TextInput
            label={t('create.taskName')}
            value={draft.taskName}
            error={errorOf('taskName')}
            onChange={(event) => {
              set({ taskName: event.currentTarget.value });
            }}
          />
          <Autocomplete
            size="xs"
            label={t('create.model')}
            data={models}
            limit={MOST_SHOWN}
            spellCheck={false}
            value={draft.modelId}
            error={errorOf('modelId')}
            onChange={(modelId) => {
              set({ modelId });
            }}
          />
          <DatasetField draft={draft} errorOf={errorOf} set={set} />
        </div>
      </Stack>
    </Panel>
  );
}

function DatasetField({ draft, errorOf, set }: FieldsProps) {
  const { t } = useTranslation('tasks');
  const format = useFormat();
  const { data } = useAssets('datasets');
  const known = (data?.datasets ?? []).map((each) => {
    const facts = [
      each.version_id,
      each.zone,
      each.size_bytes == null ? null : format.field('size_bytes', each.size_bytes),
    ];
    const label = [each.name, ...facts].filter((fact) => fact != null && fact !== '').join(' · ');
    return { value: `${each.id}@${each.version_id}`, label };
  });
  return (
    <NativeSelect
      label={t('create.dataset')}
      value={draft.dataset}
      error={errorOf('dataset')}
      data={[{ value: '', label: t('create.noDataset') }, { value: SYNTHETIC, label: t('create.synthetic') }, ...known]}
      onChange={(event) => {
        set({ dataset: event.currentTarget.value });
      }}
    />
  );
}

/** Data sets or models that tasks can name. */
function useAssets(kind: 'datasets' | 'models') {
  return useQuery({
    queryKey: ['registry', kind],
    queryFn: () => answer(api.GET('/api/v1/registry/{kind}', { params: { path: { kind } } })),
  });
}
