import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { DataTable, type Column } from '@/ui/DataTable';
import { Panel } from '@/ui/Panel';
import { Quantity } from '@/ui/Quantity';
import { ShowAll } from '@/ui/ShowAll';
import { Swatch } from '@/ui/Swatch';
import type { Meaning } from '@/theme/palette';

import { joins, linkName, type Link, type Pair } from './metrics';

/** Paths that carry nothing, of which a hundred zones have thousands. */
const FEW = 20;

interface Row {
  path: Schemas['ZoneLink'];
  link: Link | undefined;
}

interface Props {
  paths: readonly Schemas['ZoneLink'][];
  links: readonly Link[];
  chosen: Pair | null;
  onChoose: (pair: Pair) => void;
  isStale: boolean;
}

/** The same as a table: every path between two zones, with what crosses it. */
export function LinkTable({ paths, links, chosen, onChoose, isStale }: Props) {
  const { t } = useTranslation('map');
  const byName = new Map(links.map((link) => [linkName(link), link]));
  const [isWhole, setIsWhole] = useState(false);
  const all = paths.map((path): Row => ({ path, link: byName.get(linkName(path)) }));
  const busy = all.filter(({ link }) => link != null);
  const idle = all.filter(({ link }) => link == null);
  const rows = [...busy, ...(isWhole ? idle : idle.slice(0, FEW))];
  const number = (name: string, value: (row: Row) => number | null | undefined): Column<Row> => ({
    key: name,
    title: t(`metric.${name}`),
    isNumber: true,
    value,
    cell: (row) => (value(row) === undefined ? '–' : <Quantity name={name} value={value(row)} />),
  });
  const columns: Column<Row>[] = [
    {
      key: 'link',
      title: t('table.link'),
      value: ({ path }) => linkName(path),
      cell: ({ path, link }) => (
        <>
          {link?.groups.map(({ group }) => (
            <Swatch key={group} meaning={group as Meaning} />
          ))}
          {linkName(path)}
        </>
      ),
    },
    number('distance_meters', ({ path }) => path.distance_meters),
    number('latency_seconds', ({ path }) => path.latency_seconds),
    number('bytes_per_second', ({ path, link }) => link?.bytes_per_second ?? path.bytes_per_second),
    number('step_bytes', ({ link }) => link?.step_bytes),
    number('raw_seconds', ({ link }) => link?.raw_seconds),
    number('exposed_seconds', ({ link }) => link?.exposed_seconds),
    number('utilization_fraction', ({ link }) => link?.utilization_fraction),
    number('dollars_per_hour', ({ link }) => link?.dollars_per_hour),
  ];
  return (
    <Panel title={t('table.title')} isStale={isStale}>
      <DataTable
        label={t('table.title')}
        rows={rows}
        columns={columns}
        rowKey={({ path }) => linkName(path)}
        isChosen={({ path }) => joins(chosen, path)}
        onChoose={({ path }) => {
          onChoose([path.from_zone, path.to_zone]);
        }}
        maxHeight="420px"
      />
      {idle.length > FEW && <ShowAll count={paths.length} isWhole={isWhole} onChange={setIsWhole} />}
    </Panel>
  );
}
