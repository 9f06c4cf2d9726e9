import { Popover, Table, Text, UnstyledButton } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { useFormat } from '@/i18n/useLanguage';

import classes from './Quantity.module.css';

export interface Derivation {
  formula: string;
  source?: string;
  inputs?: readonly { name: string; value: number }[];
}

interface Props {
  /** The field of the API that it is: its last words are its unit. */
  name: string;
  value: number | boolean | null | undefined;
  /** How it is computed; a click shows it. */
  derivation?: Derivation | undefined;
  /** Write it as a change, with its sign. */
  isChange?: boolean;
}

/** A number with its unit, and how it came about. */
export function Quantity({ name, value, derivation, isChange = false }: Props) {
  const { t } = useTranslation('ui');
  const format = useFormat();
  const text = isChange && typeof value !== 'boolean' ? format.change(name, value) : format.field(name, value);
  const shown = <data value={String(value)}>{text}</data>;
  if (derivation == null) return shown;
  return (
    <Popover position="bottom-start" shadow="md" width={420} withArrow trapFocus returnFocus>
      <Popover.Target>
        <UnstyledButton className={classes.button} title={t('quantity.how')}>
          {shown}
        </UnstyledButton>
      </Popover.Target>
      <Popover.Dropdown>
        <DerivationView {...derivation} />
      </Popover.Dropdown>
    </Popover>
  );
}

/** A formula, the numbers that went into it, and where it is from. */
export function DerivationView({ formula, source, inputs = [] }: Derivation) {
  const { t } = useTranslation('ui');
  const format = useFormat();
  return (
    <>
      <code className={classes.formula}>{formula}</code>
      {inputs.length > 0 && (
        <Table mt="xs" verticalSpacing={2} horizontalSpacing={4} fz="xs">
          <Table.Tbody>
            {inputs.map((input) => (
              <Table.Tr key={input.name}>
                <Table.Td>{input.name.replaceAll('_', ' ')}</Table.Td>
                <Table.Td ta="right" data-number>
                  {format.field(input.name, input.value)}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
      {source != null && source !== '' && (
        <Text size="xs" c="dimmed" mt="xs">
          {t('quantity.source', { source })}
        </Text>
      )}
    </>
  );
}
