import { Badge, Table, Text, Title } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { useFormat } from '@/i18n/useLanguage';
import { FieldName } from '@/ui/FieldName';
import { Source } from '@/ui/Source';

import classes from './CatalogPage.module.css';
import type { Entry, Fact } from './kinds';

const APART = new Set(['name', 'facts', 'source', 'note', 'aliases', 'retrieved', 'date', 'assumed']);

/** All that is known of one entry, under the names that the API gives it. */
export function EntryView({ entry }: { entry: Entry }) {
  const { t } = useTranslation('catalog');
  const facts = entry.facts ?? [];
  const date = (entry['retrieved'] ?? entry['date']) as string | undefined;
  return (
    <aside className={classes.entry} aria-label={entry.name}>
      <Title order={2} className={classes.name}>
        {entry.name}
      </Title>
      <Note text={[entry['aliases'] ?? []].flat().join(', ')} title={t('aliases')} />
      <Note text={(entry['note'] ?? '') as string} title={t('remark')} lang="en" />
      {facts.length > 0 ? <Facts facts={facts} /> : <Fields entry={entry} />}
      {facts.length === 0 && entry.source != null && (
        <section>
          <Title order={3}>{t('source')}</Title>
          <Text size="xs" lang="en">
            <Source text={entry.source} />
          </Text>
          {date != null && (
            <Text size="xs" c="dimmed">
              {t('retrieved', { date })}
            </Text>
          )}
        </section>
      )}
    </aside>
  );
}

function Note({ title, text, lang }: { title: string; text: string; lang?: string }) {
  if (text === '') return null;
  return (
    <Text size="xs" c="dimmed">
      {title}
      <span lang={lang}>{text}</span>
    </Text>
  );
}

/** Figures that each have a source of their own. */
function Facts({ facts }: { facts: readonly Fact[] }) {
  const { t } = useTranslation('catalog');
  const format = useFormat();
  return (
    <ul className={classes.facts}>
      {facts.map((fact) => (
        <li key={fact.name}>
          <div className={classes.fact}>
            <FieldName name={fact.name} />
            <data value={String(fact.value)}>{written(format.field, fact.name, fact.value)}</data>
          </div>
          <Text size="xs" c="dimmed" lang="en">
            {fact.is_estimated && (
              <Badge size="xs" variant="outline" color="gray" mr={4}>
                {t('estimated')}
              </Badge>
            )}
            <Source text={fact.source} url={fact.url} /> · {fact.retrieved}
            {fact.note !== '' && ` · ${fact.note}`}
          </Text>
        </li>
      ))}
    </ul>
  );
}

/** Figures that share the source of the whole entry. */
function Fields({ entry }: { entry: Entry }) {
  const format = useFormat();
  const rows = Object.entries(entry).filter(([name, value]) => !APART.has(name) && value != null && value !== '');
  return (
    <Table verticalSpacing={3} horizontalSpacing={0} fz="xs">
      <Table.Tbody>
        {rows.map(([name, value]) => (
          <Table.Tr key={name}>
            <Table.Td>
              <FieldName name={name} />
            </Table.Td>
            <Table.Td ta="right" data-number>
              {written(format.field, name, value)}
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

/** A field of a field as one name, which ends in its unit: `fabric.bytes_per_second`, `peak_flop_per_second.bf16`. */
function quantityName(name: string): string {
  return /_second\./.test(name) ? name.replace(/\.\w+$/, '') : name.replace('.', '_');
}

function written(field: (name: string, value: unknown) => string, name: string, value: unknown): string {
  if (value == null) return '–';
  if (typeof value === 'object') return Array.isArray(value) ? value.join(', ') : JSON.stringify(value);
  return field(quantityName(name), value);
}
