import { SegmentedControl, Select } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useNavigate, useParams, useSearchParams } from 'react-router';

import { useCatalog, useCatalogOf, useNames, type CatalogKind } from '@/api/queries';
import { useFormat } from '@/i18n/useLanguage';
import { DataTable, type Column } from '@/ui/DataTable';
import { Empty } from '@/ui/Empty';
import { Loading } from '@/ui/Loading';
import { PageHeader } from '@/ui/PageHeader';
import { ProblemPanel } from '@/ui/ProblemPanel';
import { SearchField } from '@/ui/SearchField';

import classes from './CatalogPage.module.css';
import { EntryView } from './EntryView';
import { BY_PLACE, COLUMNS, fieldOf, FIGURES, KINDS, type Entry } from './kinds';

const FIRST_PLACE = 'aws:us-east-1';

/** What a job file can name, and what is known of prices and paths: each figure with its source and date. */
export default function CatalogPage() {
  const { t } = useTranslation('catalog');
  const navigate = useNavigate();
  const { kind: asked } = useParams();
  const kind = KINDS.find((each) => each === asked) ?? 'gpus';
  const choices = KINDS.map((each) => ({ value: each, label: t(`kinds.${each}`) }));
  return (
    <>
      <PageHeader note={t('note')} />
      <div className={classes.page}>
        <div className={classes.kinds}>
          <SegmentedControl
            aria-label={t('kind')}
            data={choices}
            value={kind}
            onChange={(next) => void navigate(`/catalog/${next}`)}
          />
        </div>
        <List key={kind} kind={kind} />
      </div>
    </>
  );
}

function List({ kind }: { kind: CatalogKind }) {
  return BY_PLACE.includes(kind) ? <OfPlace kind={kind} /> : <Whole kind={kind} />;
}

function Whole({ kind }: { kind: CatalogKind }) {
  const { data, error, refetch } = useCatalog(kind);
  if (error != null) return <ProblemPanel problem={error} onRetry={() => void refetch()} />;
  if (data == null) return <Loading height={480} />;
  return <Entries kind={kind} entries={entriesOf(data, kind)} />;
}

function OfPlace({ kind }: { kind: CatalogKind }) {
  const { t } = useTranslation('catalog');
  const places = useNames('regions');
  const [place, setPlace] = useState(FIRST_PLACE);
  const { data, error } = useCatalogOf(kind, place);
  const choose = (
    <Select
      size="xs"
      w={220}
      searchable
      allowDeselect={false}
      aria-label={t('from')}
      data={places}
      value={place}
      limit={60}
      onChange={(next) => {
        setPlace(next ?? place);
      }}
    />
  );
  if (data == null && error == null) return <Loading height={480} />;
  return (
    <Entries key={place} kind={kind} entries={entriesOf(data, kind)} aside={choose}>
      <Empty title={t('unknown.title', { place })}>{t('unknown.why')}</Empty>
    </Entries>
  );
}

interface EntriesProps {
  kind: CatalogKind;
  entries: readonly Entry[];
  aside?: React.ReactNode;
  /** What is shown where there are no entries. */
  children?: React.ReactNode;
}

/** The list, what is looked for in it, and beside it all about the chosen one. */
function Entries({ kind, entries, aside, children }: EntriesProps) {
  const { t } = useTranslation('catalog');
  const [text, setText] = useState('');
  const [parameters, setParameters] = useSearchParams();
  const columns = useColumns(kind, entries);
  const found = entries.filter((entry) => matches(entry, text));
  const chosen = found.find(({ name }) => name === parameters.get('name')) ?? found[0];
  return (
    <>
      <div className={classes.tools}>
        {aside}
        <SearchField label={t('search')} value={text} onChange={setText} />
        <span className={classes.count} role="status">
          {t('count', { count: found.length, all: entries.length })}
        </span>
      </div>
      {entries.length === 0 ? (
        children
      ) : (
        <div className={classes.split}>
          <div className={classes.list}>
            <DataTable
              label={t(`kinds.${kind}`)}
              rows={found}
              columns={columns}
              rowKey={({ name }) => name}
              maxHeight="var(--list-height)"
              isChosen={(entry) => entry === chosen}
              onChoose={({ name }) => {
                setParameters({ name }, { replace: true });
              }}
            />
            {found.length === 0 && <Empty title={t('nothing.title')}>{t('nothing.why', { text })}</Empty>}
          </div>
          {chosen != null && <EntryView key={chosen.name} entry={chosen} />}
        </div>
      )}
    </>
  );
}

function useColumns(kind: CatalogKind, entries: readonly Entry[]): Column<Entry>[] {
  const { t } = useTranslation('catalog');
  const format = useFormat();
  const name: Column<Entry> = { key: 'name', title: t('columns.name'), value: (entry) => entry.name };
  const fields = COLUMNS[kind].map((field): Column<Entry> => {
    const isNumber = entries.some((entry) => typeof fieldOf(entry, field) === 'number');
    return {
      key: field,
      title: t(`columns.${field.replaceAll('.', '_')}`),
      isNumber,
      value: (entry) => fieldOf(entry, field) as string | number | null,
      cell: (entry) => {
        const value = fieldOf(entry, field);
        if (value == null || value === '') return '–';
        return typeof value === 'number' ? format.field(field.replace(/\.\w+$/, ''), value) : String(value as string);
      },
    };
  });
  return FIGURES.includes(kind) ? fields : [name, ...fields];
}

function matches(entry: Entry, text: string): boolean {
  const all = [
    entry.name,
    entry['place'],
    entry['to'],
    entry['aliases'],
    entry['family'],
    entry['vendor'],
    entry['title'],
  ];
  const known = all.flat().join(' ').toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => known.includes(word));
}

function entriesOf(data: object | undefined, kind: CatalogKind): Entry[] {
  return ((data as Record<string, unknown> | undefined)?.[kind] ?? []) as Entry[];
}
