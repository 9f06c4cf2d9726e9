import { TextInput } from '@mantine/core';
import { Search } from 'lucide-react';

interface Props {
  /** What is searched, for who cannot see it and while the field is empty. */
  label: string;
  value: string;
  onChange: (value: string) => void;
}

/** Words that what is shown must have. */
export function SearchField({ label, value, onChange }: Props) {
  return (
    <TextInput
      w={260}
      type="search"
      leftSection={<Search size={14} />}
      aria-label={label}
      placeholder={label}
      value={value}
      onChange={(event) => {
        onChange(event.currentTarget.value);
      }}
    />
  );
}
