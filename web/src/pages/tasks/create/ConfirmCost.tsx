import { Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { Quantity } from '@/ui/Quantity';

import type { Draft } from './draft';

interface Props {
  draft: Draft;
  costs: Schemas['HourlyCosts'] | null | undefined;
  onSure: () => void;
  onClose: () => void;
}

/** What costs money is not begun by one click: its name must be typed. */
export function ConfirmCost({ draft, costs, onSure, onClose }: Props) {
  const { t } = useTranslation('tasks');
  const [typed, setTyped] = useState('');
  return (
    <Modal opened onClose={onClose} title={t('create.confirm.title')} closeButtonProps={{ 'aria-label': t('cancel') }}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (typed === draft.taskName) onSure();
        }}
      >
        <Stack gap="sm">
          <Text size="sm">{t(`create.confirm.${draft.isNew ? 'rent' : 'use'}`)}</Text>
          <Text size="sm">
            {t('create.gpuCost')}: <Quantity name="gpu_dollars_per_hour" value={costs?.gpu_dollars_per_hour} />
            {' · '}
            {t('create.egressCost')}: <Quantity name="egress_dollars_per_hour" value={costs?.egress_dollars_per_hour} />
          </Text>
          <TextInput
            label={t('create.confirm.type', { name: draft.taskName })}
            value={typed}
            autoComplete="off"
            data-autofocus
            onChange={(event) => {
              setTyped(event.currentTarget.value);
            }}
          />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              {t('cancel')}
            </Button>
            <Button type="submit" disabled={typed !== draft.taskName}>
              {t(`create.submit.${draft.launchMode}`)}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

/** Whether money is spent once it is created: nodes are rented, or those that are there have a price. */
export function isPaid(draft: Draft, costs: Schemas['HourlyCosts'] | null | undefined): boolean {
  if (draft.launchMode === 'new') return true;
  const known = [costs?.gpu_dollars_per_hour, costs?.egress_dollars_per_hour];
  return draft.launchMode === 'existing' && known.some((each) => each != null && each > 0);
}
