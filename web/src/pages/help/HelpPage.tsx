import { Kbd, Table } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';

import { PAGES } from '@/app/pages';
import { useLanguage } from '@/i18n/useLanguage';
import { PageBody } from '@/ui/PageBody';
import { PageHeader } from '@/ui/PageHeader';
import { Panel } from '@/ui/Panel';
import { SearchField } from '@/ui/SearchField';

import { Fields } from './Fields';
import { Glossary } from './Glossary';
import classes from './HelpPage.module.css';

/** First steps, and all that can be looked up: keys of the job file, words, shortcuts. */
export default function HelpPage() {
  const { t } = useTranslation('help');
  const [text, setText] = useState('');
  return (
    <>
      <PageHeader>
        <SearchField label={t('search')} value={text} onChange={setText} />
      </PageHeader>
      <PageBody>
        {text === '' && (
          <div className={classes.pair}>
            <FirstSteps />
            <Shortcuts />
          </div>
        )}
        <Fields text={text} />
        <Glossary text={text} />
      </PageBody>
    </>
  );
}

/** The way through the pages, each with its link. */
function FirstSteps() {
  const { t } = useTranslation('help');
  const language = useLanguage();
  const steps = PAGES.filter(({ path }) => path !== '/help');
  return (
    <Panel title={t('steps.title')}>
      <ol className={classes.steps}>
        {steps.map(({ path, title }) => (
          <li key={path}>
            <Link to={path}>{title[language]}</Link> {t(`steps.${path.slice(1)}`)}
          </li>
        ))}
      </ol>
    </Panel>
  );
}

function Shortcuts() {
  const { t } = useTranslation('help');
  const language = useLanguage();
  return (
    <Panel title={t('keys.title')}>
      <Table verticalSpacing={3} horizontalSpacing={0}>
        <Table.Tbody>
          {PAGES.map(({ path, title, shortcut }) => (
            <Table.Tr key={path}>
              <Table.Td>{title[language]}</Table.Td>
              <Table.Td ta="right">
                <Kbd size="xs">g</Kbd> <Kbd size="xs">{shortcut}</Kbd>
              </Table.Td>
            </Table.Tr>
          ))}
          <Table.Tr>
            <Table.Td>{t('keys.list')}</Table.Td>
            <Table.Td ta="right">
              <Kbd size="xs">?</Kbd>
            </Table.Td>
          </Table.Tr>
          <Table.Tr>
            <Table.Td>{t('keys.rows')}</Table.Td>
            <Table.Td ta="right">
              <Kbd size="xs">↑</Kbd> <Kbd size="xs">↓</Kbd> <Kbd size="xs">⏎</Kbd>
            </Table.Td>
          </Table.Tr>
        </Table.Tbody>
      </Table>
    </Panel>
  );
}
