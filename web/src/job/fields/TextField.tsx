import { TextInput } from '@mantine/core';

import { Label } from './Label';
import { useField, type FieldProps } from './useField';

/** A number or a quantity with its unit, as a job file has it. */
export function TextField(props: FieldProps) {
  const { label, help, text, error, set } = useField(props);
  return (
    <TextInput
      label={<Label label={label} help={help} />}
      aria-label={label}
      value={text}
      error={error}
      placeholder={props.placeholder}
      spellCheck={false}
      onChange={(event) => {
        set(event.currentTarget.value);
      }}
    />
  );
}
