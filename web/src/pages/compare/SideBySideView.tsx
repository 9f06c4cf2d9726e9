import { Switch, Text } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat } from '@/i18n/useLanguage';
import { DataTable, type Column } from '@/ui/DataTable';
import { FieldName } from '@/ui/FieldName';
import { Panel } from '@/ui/Panel';

import classes from './ComparePage.module.css';
import { TermBars } from './TermBars';

type SideBySide = Schemas['SideBySide'];
type Row = SideBySide['rows'][number];

/** In the order in which one wants to know. */
const SECTIONS = ['time', 'terms', 'memory', 'links', 'cost', 'measured', 'plan', 'inputs'] as const;

/** Each value of each side; what differs, or all of it. */
export function SideBySideView({ found, isStale }: { found: SideBySide; isStale: boolean }) {
  const { t } = useTranslation('compare');
  const [isAll, setIsAll] = useState(false);
  const shown = found.rows.filter((row) => isAll || row.is_different);
  const columns = useColumns(found);
  return (
    <>
      <Panel title={t('steps.title')} isStale={isStale}>
        <TermBars found={found} />
      </Panel>
      <div className={classes.switch}>
        <Switch
          size="xs"
          label={t('all')}
          checked={isAll}
          onChange={(event) => {
            setIsAll(event.currentTarget.checked);
          }}
        />
        <Text size="xs" c="dimmed">
          {t('marked')}
        </Text>
      </div>
      {SECTIONS.map((section) => {
        const rows = shown.filter((row) => row.section === section);
        if (rows.length === 0) return null;
        return (
          <Panel key={section} title={t(`sections.${section}`)} isStale={isStale}>
            <DataTable
              label={t(`sections.${section}`)}
              rows={rows}
              columns={columns}
              rowKey={({ name }) => name}
              maxHeight="420px"
            />
          </Panel>
        );
      })}
    </>
  );
}

function useColumns(found: SideBySide): Column<Row>[] {
  const { t } = useTranslation('compare');
  const format = useFormat();
  const name: Column<Row> = {
    key: 'name',
    title: t('columns.value'),
    value: (row) => row.name,
    cell: (row) => (
      <span className={classes.name} data-name={row.name} data-different={row.is_different}>
        {row.is_different ? '≠ ' : ''}
        <FieldName name={row.name} />
      </span>
    ),
  };
  const sides = found.sides.map((side, index): Column<Row> => {
    const written = (row: Row) => {
      const value = row.values[index];
      return value == null ? '–' : format.field(row.name, value);
    };
    return {
      key: String(index),
      title: side.name,
      isNumber: true,
      value: (row) => row.values[index],
      cell: (row) => {
        const ratio = index === 0 ? null : row.ratios?.[index];
        return (
          <>
            {written(row)}
            {row.is_different && ratio != null && <span className={classes.ratio}>{format.field('ratio', ratio)}</span>}
          </>
        );
      },
    };
  });
  return [name, ...sides];
}
