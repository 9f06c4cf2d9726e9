import { Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useTerm } from '@/i18n/useLanguage';

import { ProblemPanel } from './ProblemPanel';
import { Quantity } from './Quantity';

type Costs = Schemas['HourlyCosts'] | null | undefined;

interface Props {
  title: string;
  /** What comes of it. */
  why: string;
  /** Of the task: to be typed where it costs money. */
  name: string;
  launchMode: string;
  costs: Costs;
  /** What the button says. */
  submit: string;
  /** Whether it is being sent, or its costs are not known yet. */
  isBusy?: boolean;
  problem?: Error | null;
  onSure: () => void;
  onClose: () => void;
}

/** Ask before a task is made. What costs money is not begun by one click: its name must be typed. */
export function ConfirmStart({ title, why, name, launchMode, costs, submit, isBusy = false, ...props }: Props) {
  const { t } = useTranslation('ui');
  const [typed, setTyped] = useState('');
  const isCostly = isPaid(launchMode, costs);
  const isSure = !isCostly || typed === name;
  return (
    <Modal opened onClose={props.onClose} title={title} closeButtonProps={{ 'aria-label': t('confirm.cancel') }}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (isSure && !isBusy) props.onSure();
        }}
      >
        <Stack gap="sm">
          <Text size="sm">{why}</Text>
          {isCostly && (
            <>
              <Cost launchMode={launchMode} costs={costs} />
              <TextInput
                label={t('confirm.type', { name })}
                value={typed}
                autoComplete="off"
                data-autofocus
                onChange={(event) => {
                  setTyped(event.currentTarget.value);
                }}
              />
            </>
          )}
          {props.problem != null && <ProblemPanel problem={props.problem} />}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={props.onClose}>
              {t('confirm.cancel')}
            </Button>
            <Button type="submit" disabled={!isSure} loading={isBusy}>
              {submit}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

function Cost({ launchMode, costs }: { launchMode: string; costs: Costs }) {
  const { t } = useTranslation('ui');
  const term = useTerm();
  return (
    <>
      <Text size="sm">{t(`confirm.${launchMode === 'new' ? 'rent' : 'use'}`)}</Text>
      <Text size="sm">
        {term('field', 'gpu_dollars')}: <Quantity name="gpu_dollars_per_hour" value={costs?.gpu_dollars_per_hour} />
        {' · '}
        {term('field', 'egress_dollars')}:{' '}
        <Quantity name="egress_dollars_per_hour" value={costs?.egress_dollars_per_hour} />
      </Text>
    </>
  );
}

/** Whether money is spent once a task is made: nodes are rented, or those that are there have a price. */
export function isPaid(launchMode: string, costs: Costs): boolean {
  if (launchMode === 'new') return true;
  const known = [costs?.gpu_dollars_per_hour, costs?.egress_dollars_per_hour];
  return launchMode === 'existing' && known.some((each) => each != null && each > 0);
}
