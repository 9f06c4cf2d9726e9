import { NativeSelect } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { Label } from './Label';
import { useChoices, useField, type FieldProps } from './useField';

/** One of few values; nothing chosen leaves it to the planner, or to what is usual. */
export function ChoiceField({ definition, ...props }: FieldProps & { definition: string }) {
  const { t } = useTranslation('fields');
  const { label, help, text, error, set } = useField(props);
  const choices = useChoices(definition, String(props.path.at(-1)));
  const known = text === '' || choices.includes(text) ? choices : [text, ...choices];
  return (
    <NativeSelect
      label={<Label label={label} help={help} />}
      aria-label={label}
      value={text}
      error={error}
      data={[{ value: '', label: props.placeholder ?? t('auto') }, ...known]}
      onChange={(event) => {
        set(event.currentTarget.value);
      }}
    />
  );
}
