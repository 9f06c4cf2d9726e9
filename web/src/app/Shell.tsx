import { ActionIcon, AppShell, Burger, Group, Kbd, Modal, Stack, Table, Text, Tooltip } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { Keyboard } from 'lucide-react';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { NavLink } from 'react-router';

import { useLanguage } from '@/i18n/useLanguage';
import { Brand } from '@/ui/Brand';

import { Connection } from './Connection';
import { PAGES } from './pages';
import classes from './Shell.module.css';
import { LanguageSwitch, SchemeSwitch } from './Switches';
import { useShortcuts } from './useShortcuts';

/** What surrounds every page: navigation at the left, on a phone behind a button. */
export function Shell({ children }: { children: ReactNode }) {
  const { t } = useTranslation('shell');
  const [isOpen, { toggle, close }] = useDisclosure(false);
  const [isHelpOpen, help] = useDisclosure(false);
  useShortcuts(help.open);
  return (
    <AppShell
      navbar={{ width: 208, breakpoint: 'sm', collapsed: { mobile: !isOpen } }}
      header={{ height: { base: 44, sm: 0 } }}
    >
      <a href="#main" className={`visually-hidden ${classes.skip ?? ''}`}>
        {t('skip')}
      </a>
      <AppShell.Header hiddenFrom="sm" className={classes.header}>
        <Burger opened={isOpen} onClick={toggle} size="sm" aria-label={t('menu')} />
        <Brand />
      </AppShell.Header>
      <AppShell.Navbar className={classes.navbar}>
        <Group visibleFrom="sm" px={6} pt={4} pb="xs">
          <Brand />
        </Group>
        <Navigation onChoose={close} />
        <Stack gap={8} mt="auto" px={6}>
          <Connection />
          <Group gap={4}>
            <LanguageSwitch />
            <SchemeSwitch />
            <Tooltip label={t('shortcuts.title')}>
              <ActionIcon variant="subtle" color="gray" onClick={help.open} aria-label={t('shortcuts.title')}>
                <Keyboard size={16} />
              </ActionIcon>
            </Tooltip>
          </Group>
        </Stack>
      </AppShell.Navbar>
      <AppShell.Main id="main" tabIndex={-1} className={classes.main}>
        {children}
      </AppShell.Main>
      <Shortcuts isOpen={isHelpOpen} onClose={help.close} />
    </AppShell>
  );
}

function Navigation({ onChoose }: { onChoose: () => void }) {
  const { t } = useTranslation('shell');
  const language = useLanguage();
  return (
    <nav aria-label={t('pages')} className={classes.nav}>
      {PAGES.map(({ path, title, icon: Icon }) => (
        <NavLink key={path} to={path} onClick={onChoose} className={classes.link ?? ''}>
          <Icon size={16} strokeWidth={1.75} aria-hidden />
          {title[language]}
        </NavLink>
      ))}
    </nav>
  );
}

function Shortcuts({ isOpen, onClose }: { isOpen: boolean; onClose: () => void }) {
  const { t } = useTranslation('shell');
  const language = useLanguage();
  return (
    <Modal
      opened={isOpen}
      onClose={onClose}
      title={t('shortcuts.title')}
      closeButtonProps={{ 'aria-label': t('close') }}
    >
      <Table>
        <Table.Tbody>
          {PAGES.map(({ path, title, shortcut }) => (
            <Table.Tr key={path}>
              <Table.Td>{t('shortcuts.goTo', { page: title[language] })}</Table.Td>
              <Table.Td ta="right">
                <Kbd size="xs">g</Kbd> <Kbd size="xs">{shortcut}</Kbd>
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      <Text size="xs" c="dimmed" mt="sm">
        {t('shortcuts.again')} <Kbd size="xs">?</Kbd>
      </Text>
    </Modal>
  );
}
