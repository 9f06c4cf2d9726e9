import { Table, UnstyledButton } from '@mantine/core';
import { ArrowDown, ArrowUp } from 'lucide-react';
import { useMemo, useState, type KeyboardEvent, type ReactNode } from 'react';

import classes from './DataTable.module.css';

type Value = string | number | boolean | null | undefined;

export interface Column<Row> {
  key: string;
  title: string;
  /** What it is sorted by, and shown as where there is no `cell`. */
  value: (row: Row) => Value;
  cell?: (row: Row) => ReactNode;
  /** Numbers stand at the right. */
  isNumber?: boolean;
}

interface Props<Row> {
  /** What the table holds, for who cannot see it. */
  label: string;
  rows: readonly Row[];
  columns: readonly Column<Row>[];
  rowKey: (row: Row) => string;
  /** Enter or a click on a row; without it rows are only read. */
  onChoose?: ((row: Row) => void) | undefined;
  isChosen?: (row: Row) => boolean;
  /** Above which it scrolls under its head, in CSS. */
  maxHeight?: string;
}

interface Sorting {
  key: string;
  isDown: boolean;
}

/** Rows that can be sorted by each column, walked with the arrow keys, under a head that stays. */
export function DataTable<Row>(props: Props<Row>) {
  const { label, rows, columns, rowKey, onChoose, isChosen, maxHeight } = props;
  const [sorting, setSorting] = useState<Sorting | null>(null);
  const sorted = useMemo(() => sortedRows(rows, columns, sorting), [rows, columns, sorting]);
  return (
    <div
      className={classes.scroll}
      style={{ maxHeight }}
      role="region"
      aria-label={label}
      tabIndex={maxHeight ? 0 : -1}
    >
      <Table stickyHeader horizontalSpacing={6} highlightOnHover={onChoose != null}>
        <Table.Thead className={classes.head}>
          <Table.Tr>
            {columns.map((column) => (
              <HeadCell key={column.key} column={column} sorting={sorting} onSort={setSorting} />
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {sorted.map((row, index) => (
            <Table.Tr
              key={rowKey(row)}
              aria-selected={isChosen?.(row)}
              data-chosen={isChosen?.(row)}
              className={classes.row}
              {...(onChoose == null ? {} : choosing(row, index, onChoose))}
            >
              {columns.map((column) => (
                <Table.Td key={column.key} data-number={column.isNumber} ta={column.isNumber ? 'right' : 'left'}>
                  {column.cell == null ? column.value(row) : column.cell(row)}
                </Table.Td>
              ))}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </div>
  );
}

interface HeadProps<Row> {
  column: Column<Row>;
  sorting: Sorting | null;
  onSort: (sorting: Sorting | null) => void;
}

function HeadCell<Row>({ column, sorting, onSort }: HeadProps<Row>) {
  const isSorted = sorting?.key === column.key;
  const next = !isSorted ? { key: column.key, isDown: false } : sorting.isDown ? null : { ...sorting, isDown: true };
  const Arrow = isSorted && sorting.isDown ? ArrowDown : ArrowUp;
  return (
    <Table.Th
      ta={column.isNumber ? 'right' : 'left'}
      aria-sort={isSorted ? (sorting.isDown ? 'descending' : 'ascending') : 'none'}
    >
      <UnstyledButton
        className={classes.sort}
        data-number={column.isNumber}
        onClick={() => {
          onSort(next);
        }}
      >
        <span className={classes.title} title={column.title}>
          {column.title}
        </span>
        <Arrow size={12} aria-hidden opacity={isSorted ? 1 : 0} />
      </UnstyledButton>
    </Table.Th>
  );
}

/** What makes a row be chosen by click and by key; one row at a time can be reached with Tab. */
function choosing<Row>(row: Row, index: number, onChoose: (row: Row) => void) {
  const onKeyDown = (event: KeyboardEvent<HTMLTableRowElement>) => {
    const step = { ArrowDown: 'nextElementSibling', ArrowUp: 'previousElementSibling' } as const;
    const toward = event.key in step ? step[event.key as keyof typeof step] : null;
    const other = toward == null ? null : event.currentTarget[toward];
    if (event.key === 'Enter' || event.key === ' ') onChoose(row);
    else if (!(other instanceof HTMLElement)) return;
    else other.focus();
    event.preventDefault();
  };
  const onClick = () => {
    onChoose(row);
  };
  return { tabIndex: index === 0 ? 0 : -1, onClick, onKeyDown, style: { cursor: 'pointer' } };
}

function sortedRows<Row>(rows: readonly Row[], columns: readonly Column<Row>[], sorting: Sorting | null) {
  const column = columns.find(({ key }) => key === sorting?.key);
  if (column == null || sorting == null) return rows;
  const sign = sorting.isDown ? -1 : 1;
  return [...rows].sort((one, other) => {
    const [first, second] = [column.value(one), column.value(other)];
    if (first == null || second == null) return Number(first == null) - Number(second == null); // unknown comes last
    if (typeof first === 'string' || typeof second === 'string') {
      return sign * String(first).localeCompare(String(second), undefined, { numeric: true });
    }
    return sign * (Number(first) - Number(second));
  });
}
