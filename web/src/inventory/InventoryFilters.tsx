import { Button, Group, NativeSelect, TextInput } from '@mantine/core';
import { Search, X } from 'lucide-react';
import { useTranslation } from 'react-i18next';

import { useTerm } from '@/i18n/useLanguage';

import { FILTERS, SORTS, useEnvironments, type Environment, type Filter, type Narrowing } from './useEnvironments';

/** Search, filters and order of the inventory; the choices are what the inventory has. */
export function InventoryFilters({ narrowing }: { narrowing: Narrowing }) {
  const { t } = useTranslation('inventory');
  const term = useTerm();
  const { data } = useEnvironments();
  const label = (name: Filter, value: string) => (name === 'zone' || name === 'gpu' ? value : term(name, value));
  return (
    <Group gap="xs">
      <TextInput
        aria-label={t('filters.search')}
        placeholder={t('filters.searchHint')}
        leftSection={<Search size={14} aria-hidden />}
        w={200}
        value={narrowing.text}
        onChange={(event) => {
          narrowing.set('text', event.currentTarget.value);
        }}
      />
      {FILTERS.map((name) => (
        <NativeSelect
          key={name}
          aria-label={t(`filters.${name}`)}
          value={narrowing.chosen[name]}
          data={[
            { value: '', label: t('ui:named', { name: t(`filters.${name}`), value: t('filters.all') }) },
            ...valuesOf(data?.environments ?? [], name).map((value) => ({ value, label: label(name, value) })),
          ]}
          onChange={(event) => {
            narrowing.set(name, event.currentTarget.value);
          }}
        />
      ))}
      <NativeSelect
        aria-label={t('filters.sort')}
        value={narrowing.sort}
        data={SORTS.map((value) => ({
          value,
          label: t('ui:named', { name: t('filters.sort'), value: t(`sorts.${value}`) }),
        }))}
        onChange={(event) => {
          narrowing.set('sort', event.currentTarget.value);
        }}
      />
      {narrowing.isNarrow && (
        <Button variant="subtle" color="gray" leftSection={<X size={14} aria-hidden />} onClick={narrowing.clear}>
          {t('filters.clear')}
        </Button>
      )}
    </Group>
  );
}

function valuesOf(environments: readonly Environment[], name: Filter): string[] {
  const values = environments.flatMap((each) => (name === 'framework' ? each.frameworks : [each[name]]));
  return [...new Set(values.filter((value) => value != null))].sort();
}
