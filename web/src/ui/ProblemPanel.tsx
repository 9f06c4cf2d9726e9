import { Button, Group, Stack, Text } from '@mantine/core';
import { CircleAlert } from 'lucide-react';
import { useTranslation } from 'react-i18next';

import { Problem } from '@/api/problem';
import { useLanguage } from '@/i18n/useLanguage';

import classes from './ProblemPanel.module.css';

interface Props {
  problem: Error;
  onRetry?: () => void;
}

/** What went wrong: each error with its place, an option without the dashes of the command line, and what to do. */
export function ProblemPanel({ problem, onRetry }: Props) {
  const { t } = useTranslation('ui');
  const language = useLanguage();
  const isOurs = !(problem instanceof Problem);
  const errors = isOurs ? [] : problem.errors;
  const title = isOurs ? t('problem.ours') : problem.kind === 'offline' ? t('problem.offline') : t('problem.server');
  return (
    <div role="alert" className={classes.panel}>
      <Group gap={8} wrap="nowrap" align="start">
        <CircleAlert size={16} className={classes.icon} aria-hidden />
        <Stack gap={6} flex={1}>
          <Text fw={560}>{title}</Text>
          {errors.length === 0 && <Text size="sm">{problem.message}</Text>}
          {errors.map((error) => (
            <div key={error.where + error.message}>
              <Text size="sm">
                {error.where !== '' && <code className={classes.place}>{error.where.replace(/^--/, '')}</code>}{' '}
                {language === 'zh' ? (error.message_zh ?? error.message) : error.message}
              </Text>
              {error.hint !== '' && (
                <Text size="sm" c="dimmed">
                  {error.hint}
                </Text>
              )}
            </div>
          ))}
        </Stack>
        {onRetry != null && (
          <Button variant="default" onClick={onRetry}>
            {t('retry')}
          </Button>
        )}
      </Group>
    </div>
  );
}
