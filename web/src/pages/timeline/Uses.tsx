import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat } from '@/i18n/useLanguage';
import { DataTable, type Column } from '@/ui/DataTable';
import { Panel } from '@/ui/Panel';

type StageUse = Schemas['StageUse'];
type LinkUse = Schemas['LinkUse'];

/** How each stage and each link spends the step: the timeline as tables. */
export function Uses({ simulation, isStale }: { simulation: Schemas['Simulation']; isStale: boolean }) {
  const { t } = useTranslation('timeline');
  const format = useFormat();
  function number<Row extends object>(name: keyof Row & string): Column<Row> {
    return {
      key: name,
      title: t(`field.${name}`),
      value: (row) => row[name] as number,
      cell: (row) => format.field(name, row[name]),
      isNumber: true,
    };
  }
  const stages: Column<StageUse>[] = [
    { key: 'stage', title: t('field.stage'), value: (row) => row.stage, isNumber: true },
    number<StageUse>('num_replicas'),
    { key: 'zone', title: t('field.zone'), value: (row) => row.zone },
    { key: 'gpu', title: t('field.gpu'), value: (row) => row.gpu },
    ...(
      ['busy_fraction', 'busy_seconds', 'idle_seconds', 'agreement_seconds', 'optimizer_seconds', 'peak_bytes'] as const
    ).map((name) => number<StageUse>(name)),
  ];
  const links: Column<LinkUse>[] = [
    { key: 'from_zone', title: t('field.from_zone'), value: (row) => row.from_zone },
    { key: 'to_zone', title: t('field.to_zone'), value: (row) => row.to_zone },
    ...(['busy_fraction', 'busy_seconds', 'step_bytes', 'peak_bytes_per_second'] as const).map((name) =>
      number<LinkUse>(name),
    ),
  ];
  return (
    <>
      <Panel title={t('stages')} isStale={isStale}>
        <DataTable
          label={t('stages')}
          rows={simulation.stages}
          columns={stages}
          rowKey={(row) => `${String(row.replica)}-${String(row.stage)}`}
          maxHeight="420px"
        />
      </Panel>
      {simulation.links.length > 0 && (
        <Panel title={t('links')} isStale={isStale}>
          <DataTable
            label={t('links')}
            rows={simulation.links}
            columns={links}
            rowKey={(row) => `${row.from_zone}-${row.to_zone}`}
            maxHeight="420px"
          />
        </Panel>
      )}
    </>
  );
}
