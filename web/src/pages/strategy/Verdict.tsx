import { Table } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat } from '@/i18n/useLanguage';
import { Panel } from '@/ui/Panel';
import { Quantity } from '@/ui/Quantity';

import { Words, zonesOf } from './PlanWords';
import classes from './Strategy.module.css';

type Answer = Schemas['Answer'];
type Side = Schemas['Side'];

/** What is shown of both sides, where one of them knows it. */
const FIELDS = [
  'num_gpus',
  'step_seconds',
  'p50_seconds',
  'p90_seconds',
  'total_dollars',
  'egress_dollars',
  'energy_joules',
  'expected_num_failures',
  'goodput_fraction',
] as const satisfies readonly (keyof Side)[];

/** Whether to span zones at all: the best plan over several beside the best of one. */
export function Verdict({ answer, isStale }: { answer: Answer; isStale: boolean }) {
  const { t } = useTranslation('strategy');
  const format = useFormat();
  const first = answer.plans[0];
  const isSpanning = first != null && zonesOf(first.plan).length > 1;
  const { comparison } = answer;
  const headline = first == null ? 'nothing' : comparison == null ? 'single' : isSpanning ? 'span' : 'stay';
  return (
    <Panel title={t('verdict.title')} isStale={isStale}>
      <div className={comparison == null ? undefined : classes.verdict}>
        <div>
          <div className={classes.headline}>{t(`verdict.${headline}`)}</div>
          {comparison != null && (
            <dl className={classes.figures}>
              <dd>
                <Quantity name="speedup_ratio" value={answer.speedup_ratio} />
              </dd>
              <dt>{t('verdict.speedup')}</dt>
              <dd>
                <Quantity name="faster_probability" value={comparison.faster_probability} />
              </dd>
              <dt>{t('verdict.probability')}</dt>
            </dl>
          )}
          <p style={{ margin: '10px 0 0' }}>
            <Words isDimmed>{answer.verdict}</Words>
          </p>
        </div>
        {comparison != null && (
          <div className={classes.tableScroll} role="region" aria-label={t('verdict.table')} tabIndex={0}>
            <Table verticalSpacing={3} tabularNums aria-label={t('verdict.table')}>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th />
                  <Table.Th ta="right">{t('verdict.spanning')}</Table.Th>
                  <Table.Th ta="right">{t('verdict.alone')}</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                <Row name={t('field.zones')} cells={sides(comparison).map((side) => format.list(side.zones))} />
                {FIELDS.filter((field) => sides(comparison).some((side) => side[field] != null)).map((field) => (
                  <Row
                    key={field}
                    name={t(`field.${field}`)}
                    cells={sides(comparison).map((side) => format.field(field, side[field]))}
                  />
                ))}
                <Row
                  name={t('verdict.interval')}
                  cells={sides(comparison).map((side) =>
                    t('range', {
                      low: format.field('low_seconds', side.low_seconds),
                      high: format.field('high_seconds', side.high_seconds),
                    }),
                  )}
                />
              </Table.Tbody>
            </Table>
          </div>
        )}
      </div>
    </Panel>
  );
}

function sides({ spanning, alone }: Schemas['Comparison']): readonly [Side, Side] {
  return [spanning, alone];
}

function Row({ name, cells }: { name: string; cells: readonly string[] }) {
  return (
    <Table.Tr>
      <Table.Th scope="row" fw={400} c="dimmed">
        {name}
      </Table.Th>
      {cells.map((cell, index) => (
        <Table.Td key={index} ta="right">
          {cell}
        </Table.Td>
      ))}
    </Table.Tr>
  );
}
