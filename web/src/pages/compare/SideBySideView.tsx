import { Button, SegmentedControl, Switch, Text } from '@mantine/core';
import { useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat } from '@/i18n/useLanguage';
import { DataTable, type Column } from '@/ui/DataTable';
import { FieldName } from '@/ui/FieldName';
import { Panel } from '@/ui/Panel';

import classes from './ComparePage.module.css';
import { TermBars } from './TermBars';
import type { TimelinesProps } from './Timelines';
import { TimelinesPanel } from './TimelinesPanel';

type SideBySide = Schemas['SideBySide'];
type Row = SideBySide['rows'][number];

/** How a value is set against that of the first side: fields of a row. */
const AGAINST = ['differences', 'ratios'] as const;
type Against = (typeof AGAINST)[number];

/** In the order in which one wants to know. */
const SECTIONS = ['time', 'terms', 'memory', 'links', 'cost', 'measured', 'plan', 'inputs'] as const;

/** Each value of each side, what differs or all of it; then the steps themselves. */
export function SideBySideView({ found, sources, isStale }: TimelinesProps) {
  const { t } = useTranslation('compare');
  const [isAll, setIsAll] = useState(false);
  const [against, setAgainst] = useState<Against>('differences');
  const timelines = useRef<HTMLDivElement>(null);
  const shown = found.rows.filter((row) => isAll || row.is_different);
  const columns = useColumns(found, against);
  const toTimelines = () => {
    timelines.current?.scrollIntoView();
    timelines.current?.focus({ preventScroll: true });
  };
  return (
    <>
      <Panel
        title={t('steps.title')}
        isStale={isStale}
        aside={
          <Button variant="subtle" size="compact-xs" onClick={toTimelines}>
            {t('timelines.show')}
          </Button>
        }
      >
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
        <SegmentedControl
          size="xs"
          aria-label={t('against.label')}
          data={AGAINST.map((value) => ({ value, label: t(`against.${value}`) }))}
          value={against}
          onChange={setAgainst}
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
      <TimelinesPanel found={found} sources={sources} isStale={isStale} panelRef={timelines} />
    </>
  );
}

function useColumns(found: SideBySide, against: Against): Column<Row>[] {
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
      if (typeof value === 'string') return <span className={classes.text}>{value}</span>;
      return value == null ? '–' : format.field(row.name, value);
    };
    return {
      key: String(index),
      title: side.name,
      isNumber: true,
      value: (row) => row.values[index],
      cell: (row) => {
        const far = row.values[index] === row.values[0] ? null : row[against]?.[index];
        return (
          <>
            {written(row)}
            {index > 0 && row.differences != null && (
              <span className={classes.far}>
                {far != null && (against === 'ratios' ? format.field('ratio', far) : format.difference(row.name, far))}
              </span>
            )}
          </>
        );
      },
    };
  });
  return [name, ...sides];
}
