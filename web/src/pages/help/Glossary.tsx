import { Title } from '@mantine/core';
import { useMemo, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import vocabulary from '../../../../docs/reference/vocabulary.md?raw';

import { DataTable, type Column } from '@/ui/DataTable';
import { Panel } from '@/ui/Panel';

import { holds } from './Fields';
import classes from './HelpPage.module.css';

interface Word {
  idea: string;
  word: string;
  others: string;
  note: string;
}

/** The vocabulary of the documentation: one word for each idea. */
export function Glossary({ text }: { text: string }) {
  const { t } = useTranslation('help');
  const parts = useMemo(() => wordsOf(vocabulary), []);
  const column = (key: keyof Word): Column<Word> => ({
    key,
    title: t(`glossary.${key}`),
    value: (word) => word[key],
    cell: (word) => <span className={classes.text}>{marked(word[key])}</span>,
  });
  const columns = (['word', 'idea', 'others', 'note'] as const).map(column);
  return (
    <Panel title={t('glossary.title')}>
      <div lang="en">
        {parts.map(([title, words]) => {
          const found = words.filter((word) =>
            holds(text, ...Object.values(word as unknown as Record<string, string>)),
          );
          if (found.length === 0) return null;
          return (
            <section key={title} className={classes.part}>
              <Title order={3}>{title}</Title>
              <DataTable label={title} rows={found} columns={columns} rowKey={({ idea }) => idea} />
            </section>
          );
        })}
      </div>
    </Panel>
  );
}

/** The tables of the page, by the heading that they stand under. */
export function wordsOf(markdown: string): [string, Word[]][] {
  return markdown
    .split(/^## /m)
    .slice(1)
    .map((part): [string, Word[]] => {
      const [title = '', ...lines] = part.split('\n');
      const rows = lines.filter((line) => line.startsWith('| ')).slice(2);
      const words = rows.map((line) => {
        const [idea = '', word = '', others = '', note = ''] = line
          .slice(1)
          .split('|')
          .map((cell) => cell.trim());
        return { idea, word, others, note: note.replace(/\[([^\]]+)\]\([^)]+\)/g, '$1') };
      });
      return [title, words];
    })
    .filter(([, words]) => words.length > 0);
}

/** What stands between backticks, as code. */
function marked(text: string): ReactNode {
  return text.split('`').map((part, index) => (index % 2 === 1 ? <code key={part}>{part}</code> : part));
}
