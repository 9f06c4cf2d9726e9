import { Autocomplete } from '@mantine/core';

import { useNames, type CatalogKind } from '@/api/queries';

import { Label } from './Label';
import { useField, type FieldProps } from './useField';

const MOST_SHOWN = 40;

/** A name of the catalog, found by any part of it; other names can be written, too. */
export function NameField({ kind, ...props }: FieldProps & { kind: CatalogKind }) {
  const { label, help, text, error, set } = useField(props);
  const names = useNames(kind);
  return (
    <Autocomplete
      size="xs"
      label={<Label label={label} help={help} />}
      aria-label={label}
      value={text}
      error={error}
      data={names}
      limit={MOST_SHOWN}
      placeholder={props.placeholder ?? ''}
      spellCheck={false}
      onChange={set}
    />
  );
}
