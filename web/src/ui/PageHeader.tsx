import { Group, Title } from '@mantine/core';
import type { ReactNode } from 'react';
import { useLocation } from 'react-router';

import { pageAt } from '@/app/pages';
import { useLanguage } from '@/i18n/useLanguage';

import classes from './PageHeader.module.css';

interface Props {
  /** What the page is about, as its numbers: "llama-3-8b · 64 GPUs". */
  note?: ReactNode;
  /** What can be done, at the right. */
  children?: ReactNode;
}

/** The top of every page: its title, as the navigation has it, in one line that stays in sight. */
export function PageHeader({ note, children }: Props) {
  const language = useLanguage();
  const { pathname } = useLocation();
  const title = pageAt(pathname)?.title[language];
  return (
    <header className={classes.header}>
      <Group gap="sm" wrap="nowrap" miw={0}>
        <Title order={1} textWrap="nowrap">
          {title}
        </Title>
        <span className={classes.note}>{note}</span>
      </Group>
      <Group gap="xs" wrap="nowrap">
        {children}
      </Group>
    </header>
  );
}
