import { Button, Group, Skeleton, Table, Text, TextInput } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useFormat } from '@/i18n/useLanguage';
import { Panel } from '@/ui/Panel';
import { ProblemPanel } from '@/ui/ProblemPanel';
import { Quantity } from '@/ui/Quantity';

import { Degrees, WordList, Words } from './PlanWords';
import classes from './Strategy.module.css';
import { useWhy, type Why } from './useWhy';

const EXAMPLES = ['pp=1', 'tp=8', 'recompute=full', 'shard=parameters', 'framework=deepspeed'];
const PLACEHOLDER = 'tp=8, pp=4, microbatch_size=2';
const SHOWN = [
  'step_seconds',
  'tokens_per_second',
  'mfu',
  'memory.peak_bytes',
  'finish.p50_seconds',
  'costs.total_dollars',
];

/** Why not another plan: what it would take, or everything that forbids it. */
export function WhyBox() {
  const { t } = useTranslation('strategy');
  const [text, setText] = useState('');
  const [asked, setAsked] = useState<string | null>(null);
  const { data, error, isFetching } = useWhy(asked);
  const ask = (question: string) => {
    setText(question);
    setAsked(question);
  };
  return (
    <Panel title={t('why.title')}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          ask(text.trim());
        }}
      >
        <Group gap="xs" align="end">
          <TextInput
            flex={1}
            miw={180}
            label={t('why.label')}
            placeholder={PLACEHOLDER}
            value={text}
            onChange={(event) => {
              setText(event.currentTarget.value);
            }}
            spellCheck={false}
            autoCapitalize="off"
          />
          <Button type="submit" disabled={text.trim() === ''} loading={isFetching}>
            {t('why.ask')}
          </Button>
        </Group>
      </form>
      <Group gap={6} mt={8} mb="md">
        {EXAMPLES.map((example) => (
          <Button
            key={example}
            size="compact-xs"
            variant="default"
            translate="no"
            onClick={() => {
              ask(example);
            }}
          >
            {example}
          </Button>
        ))}
      </Group>
      {error != null && <ProblemPanel problem={error} />}
      {isFetching && data == null && <Skeleton height={120} />}
      {data != null && error == null && <Answered why={data} />}
    </Panel>
  );
}

function Answered({ why }: { why: Why }) {
  const { t } = useTranslation('strategy');
  const format = useFormat();
  const changes = why.changes.filter(({ name, base }) => SHOWN.includes(name) && base != null);
  return (
    <div role="status">
      <Group gap={10} mb={4}>
        <Text fw={600} style={{ color: why.is_possible ? 'var(--cz-good)' : 'var(--cz-bad)' }}>
          {t(why.is_possible ? 'why.possible' : 'why.impossible')}
        </Text>
        {why.plan != null && <Degrees plan={why.plan.plan} />}
      </Group>
      <Words>{why.verdict}</Words>
      <WordList items={why.reasons} />
      {changes.length > 0 && (
        <div className={classes.tableScroll}>
          <Table mt="sm" verticalSpacing={3} tabularNums aria-label={t('why.table')}>
            <Table.Thead>
              <Table.Tr>
                <Table.Th />
                <Table.Th ta="right">{t('why.best')}</Table.Th>
                <Table.Th ta="right">{t('why.asked')}</Table.Th>
                <Table.Th ta="right">{t('why.difference')}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {changes.map((change) => {
                const last = change.name.slice(change.name.lastIndexOf('.') + 1);
                return (
                  <Table.Tr key={change.name}>
                    <Table.Th scope="row" fw={400} c="dimmed">
                      {t(`field.${last}`, { defaultValue: last })}
                    </Table.Th>
                    <Table.Td ta="right">{format.field(last, change.base)}</Table.Td>
                    <Table.Td ta="right">{format.field(last, change.changed)}</Table.Td>
                    <Table.Td ta="right">
                      <Quantity name={last} value={change.difference} isChange />
                    </Table.Td>
                  </Table.Tr>
                );
              })}
            </Table.Tbody>
          </Table>
        </div>
      )}
      {why.neighbours.length > 0 && (
        <>
          <Text size="sm" fw={560} mt="sm">
            {t('why.neighbours')}
          </Text>
          {why.neighbours.map((one) => (
            <Group key={one.prediction.fingerprint} gap="md">
              <Degrees plan={one.plan} />
              <span>{format.field('step_seconds', one.prediction.step_seconds)}</span>
              <Words isDimmed>{one.reasons.join(' ')}</Words>
            </Group>
          ))}
        </>
      )}
    </div>
  );
}
