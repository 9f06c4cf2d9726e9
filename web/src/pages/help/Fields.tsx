import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import { schemaQuery } from '@/api/queries';
import { DataTable, type Column } from '@/ui/DataTable';
import { Loading } from '@/ui/Loading';
import { Panel } from '@/ui/Panel';
import { ProblemPanel } from '@/ui/ProblemPanel';
import { Sentence } from '@/ui/Sentence';

import classes from './HelpPage.module.css';
import { Part } from './Part';

interface Definition {
  description?: string;
  properties?: Record<string, Property>;
}

interface Property {
  description?: string;
  examples?: unknown[];
  type?: string;
  $ref?: string;
  anyOf?: { enum?: unknown[]; type?: string; $ref?: string }[];
}

interface Key {
  name: string;
  help: string;
  written: string;
}

/** Every key of a job file, from its schema: what it means and how it is written. */
export function Fields({ text }: { text: string }) {
  const { t } = useTranslation('help');
  const { data, error, refetch } = useQuery(schemaQuery);
  if (error != null) return <ProblemPanel problem={error} onRetry={() => void refetch()} />;
  if (data == null) return <Loading height={600} />;
  const schema = data as unknown as Definition & { $defs: Record<string, Definition> };
  const parts = [[t('fields.whole'), schema] as const, ...Object.entries(schema.$defs)];
  const columns: Column<Key>[] = [
    { key: 'name', title: t('fields.key'), value: ({ name }) => name, cell: ({ name }) => <code>{name}</code> },
    {
      key: 'help',
      title: t('fields.meaning'),
      value: ({ help }) => help,
      cell: ({ help }) => (
        <span className={classes.text}>
          <Sentence>{help}</Sentence>
        </span>
      ),
    },
    {
      key: 'written',
      title: t('fields.written'),
      value: ({ written }) => written,
      cell: ({ written }) => <code className={classes.text}>{written}</code>,
    },
  ];
  return (
    <Panel title={t('fields.title')}>
      {parts.map(([name, definition], index) => {
        const keys = keysOf(definition).filter((key) => holds(text, name, key.name, key.help));
        if (keys.length === 0) return null;
        return (
          <Part key={name} title={name} isOpen={text !== '' || index === 0}>
            <DataTable label={name} rows={keys} columns={columns} rowKey={(key) => key.name} />
          </Part>
        );
      })}
    </Panel>
  );
}

function keysOf({ properties = {} }: Definition): Key[] {
  return Object.entries(properties).map(([name, property]) => ({
    name,
    help: property.description ?? '',
    written: writtenAs(property),
  }));
}

/** The values that it can have, else an example, else of what kind it is. */
function writtenAs({ anyOf, examples = [], ...only }: Property): string {
  const forms = anyOf ?? [only];
  const choices = forms.flatMap((form) => ('enum' in form ? (form.enum ?? []) : []));
  const kinds = forms.map((form) => form.$ref?.split('/').at(-1) ?? form.type ?? '');
  const shown = [choices, examples, kinds].find((each) => each.length > 0) ?? [];
  return shown
    .filter((value) => value !== 'null' && value !== '')
    .map((value) => (typeof value === 'object' ? JSON.stringify(value) : String(value)))
    .join(', ');
}

/** Whether each word that is looked for is in one of the texts. */
export function holds(wanted: string, ...texts: string[]): boolean {
  const all = texts.join(' ').toLowerCase();
  return wanted
    .toLowerCase()
    .split(/\s+/)
    .every((word) => all.includes(word));
}
