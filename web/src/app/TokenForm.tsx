import { Button, Paper, PasswordInput, Stack, Text, Title } from '@mantine/core';
import { useState, type FormEvent } from 'react';
import { useTranslation } from 'react-i18next';

import { rememberToken } from '@/api/token';

/** Asks for the token that the server wants to see. */
export function TokenForm() {
  const { t } = useTranslation('shell');
  const [text, setText] = useState('');
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    rememberToken(text);
    location.reload();
  };
  return (
    <Paper component="main" p="lg" maw={420} mx="auto" mt="15vh">
      <form onSubmit={onSubmit}>
        <Stack gap="sm">
          <Title order={1}>{t('token.title')}</Title>
          <Text size="sm" c="dimmed">
            {t('token.why')}
          </Text>
          <PasswordInput
            label={t('token.label')}
            value={text}
            onChange={(event) => {
              setText(event.currentTarget.value);
            }}
            autoComplete="current-password"
          />
          <Button type="submit" disabled={text.trim() === ''}>
            {t('token.send')}
          </Button>
        </Stack>
      </form>
    </Paper>
  );
}
