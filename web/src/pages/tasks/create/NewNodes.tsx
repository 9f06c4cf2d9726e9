import { ActionIcon, Autocomplete, Button, Text, TextInput } from '@mantine/core';
import { Plus, X } from 'lucide-react';
import { useTranslation } from 'react-i18next';

import { useNames } from '@/api/queries';
import { Panel } from '@/ui/Panel';

import classes from './CreateTask.module.css';
import { newZone, type FieldsProps, type NewZone } from './draft';

const MOST_SHOWN = 40;

/** Nodes that are not in the inventory: to be rented, or only to be planned for. */
export function NewNodes({ draft, errorOf, set }: FieldsProps) {
  const { t } = useTranslation('tasks');
  const { zones } = draft;
  const error = errorOf('zones');
  return (
    <Panel
      title={t('create.new.title')}
      aside={
        <Button
          variant="default"
          size="compact-xs"
          leftSection={<Plus size={12} aria-hidden />}
          onClick={() => {
            set({ zones: [...zones, newZone(zones.length + 1)] });
          }}
        >
          {t('create.new.add')}
        </Button>
      }
    >
      {zones.map((zone, index) => (
        <ZoneFields
          key={index}
          number={index + 1}
          zone={zone}
          onChange={(changed) => {
            set({ zones: zones.map((each, at) => (at === index ? { ...each, ...changed } : each)) });
          }}
          onRemove={
            zones.length < 2
              ? null
              : () => {
                  set({ zones: zones.filter((_, at) => at !== index) });
                }
          }
        />
      ))}
      {zones.length > 1 && (
        <div className={classes.grid}>
          {(['bandwidth', 'rtt'] as const).map((name) => (
            <TextInput
              key={name}
              label={t(`create.new.${name}`)}
              value={draft[name]}
              error={errorOf(name)}
              spellCheck={false}
              onChange={(event) => {
                set({ [name]: event.currentTarget.value });
              }}
            />
          ))}
        </div>
      )}
      {error != null && (
        <Text role="alert" size="xs" c="var(--cz-bad)" mt="xs">
          {error}
        </Text>
      )}
    </Panel>
  );
}

interface ZoneProps {
  number: number;
  zone: NewZone;
  onChange: (changed: Partial<NewZone>) => void;
  onRemove: (() => void) | null;
}

function ZoneFields({ number, zone, onChange, onRemove }: ZoneProps) {
  const { t } = useTranslation('tasks');
  const names = { region: useNames('regions'), gpu: useNames('gpus') };
  const text = (name: keyof NewZone) => (
    <TextInput
      label={t(`create.new.${name}`)}
      placeholder={t(`create.new.empty.${name}`)}
      value={zone[name]}
      spellCheck={false}
      onChange={(event) => {
        onChange({ [name]: event.currentTarget.value });
      }}
    />
  );
  const choice = (name: 'region' | 'gpu') => (
    <Autocomplete
      size="xs"
      label={t(`create.new.${name}`)}
      placeholder={t(`create.new.empty.${name}`)}
      data={names[name]}
      limit={MOST_SHOWN}
      spellCheck={false}
      value={zone[name]}
      onChange={(value) => {
        onChange({ [name]: value });
      }}
    />
  );
  return (
    <section className={classes.zone} aria-label={t('create.new.zone', { number })}>
      <div className={classes.zoneFields}>
        {text('name')}
        {choice('region')}
        {choice('gpu')}
        {text('count')}
        {text('gpusPerNode')}
        {text('price')}
      </div>
      <ActionIcon
        variant="subtle"
        color="gray"
        aria-label={t('create.new.remove', { number })}
        disabled={onRemove == null}
        onClick={() => onRemove?.()}
      >
        <X size={14} aria-hidden />
      </ActionIcon>
    </section>
  );
}
