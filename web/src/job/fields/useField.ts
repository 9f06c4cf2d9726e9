import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import { schemaQuery } from '@/api/queries';

import { useJob } from '../JobContext';
import { placeOf, valueAt, type Path } from '../path';

export interface FieldProps {
  /** Where the value stands in the job. */
  path: Path;
  /** Which texts it has in `fields.json`, where that is not the last key of the path. */
  name?: string;
  /** What is taken where nothing is written. */
  placeholder?: string;
}

/** One value of the job: what is written, how to change it, what is wrong with it, what it means. */
export function useField({ path, name }: FieldProps) {
  const { t } = useTranslation('fields');
  const { job, errors, setValue } = useJob();
  const key = name ?? String(path.filter((part) => typeof part === 'string').at(-1));
  const place = placeOf(path);
  const written = valueAt(job, path);
  const found = errors.find((error) => error.where === place);
  return {
    label: t(`${key}.label`),
    help: t(`${key}.help`),
    text: written == null ? '' : typeof written === 'object' ? JSON.stringify(written) : String(written as string),
    error: found == null ? null : `${found.message} ${found.hint}`,
    set: (text: string) => {
      setValue(path, valueOf(text));
    },
  };
}

/** What a job file can say at a key that has few values: of the schema, which changes with the program alone. */
export function useChoices(definition: string, key: string): string[] {
  const { data } = useQuery(schemaQuery);
  const properties = (data?.$defs as Record<string, Definition> | undefined)?.[definition]?.properties[key];
  return (properties?.anyOf ?? []).flatMap((form) => form.enum ?? []);
}

interface Definition {
  properties: Record<string, { anyOf?: { enum?: string[] }[] }>;
}

/** As YAML would read it: whole numbers are numbers, what is empty is not there. */
function valueOf(text: string): unknown {
  if (text === '') return undefined;
  return /^\d{1,15}$/.test(text) ? Number(text) : text;
}
