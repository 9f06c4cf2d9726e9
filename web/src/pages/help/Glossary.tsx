import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';

import type { Language } from '@/i18n/languages';
import { useLanguage } from '@/i18n/useLanguage';
import { DataTable, type Column } from '@/ui/DataTable';
import { Loading } from '@/ui/Loading';
import { Panel } from '@/ui/Panel';
import { Sentence } from '@/ui/Sentence';

import { holds } from './Fields';
import classes from './HelpPage.module.css';
import { Part } from './Part';

interface Word {
  idea: string;
  word: string;
  others: string;
  note: string;
}

const VOCABULARIES: Record<Language, () => Promise<{ default: string }>> = {
  en: () => import('../../../../docs/reference/vocabulary.md?raw'),
  zh: () => import('../../../../docs/reference/vocabulary.zh.md?raw'),
};

/** The vocabulary of the documentation: one word for each idea. */
export function Glossary({ text }: { text: string }) {
  const { t } = useTranslation('help');
  const language = useLanguage();
  const { data: parts } = useQuery({
    queryKey: ['vocabulary', language],
    queryFn: async () => wordsOf((await VOCABULARIES[language]()).default),
    staleTime: Infinity,
  });
  const column = (key: keyof Word): Column<Word> => ({
    key,
    title: t(`glossary.${key}`),
    value: (word) => word[key],
    cell: (word) => (
      <span className={classes.text}>
        <Sentence>{word[key]}</Sentence>
      </span>
    ),
  });
  const columns = (['word', 'idea', 'others', 'note'] as const).map(column);
  if (parts == null) return <Loading height={600} />;
  return (
    <Panel title={t('glossary.title')}>
      {parts.map(([title, words], index) => {
        const found = words.filter((word) => holds(text, ...Object.values(word as unknown as Record<string, string>)));
        if (found.length === 0) return null;
        return (
          <Part key={title} title={title} isOpen={text !== '' || index === 0}>
            <DataTable label={title} rows={found} columns={columns} rowKey={({ idea }) => idea} />
          </Part>
        );
      })}
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
