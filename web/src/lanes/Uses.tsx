import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat } from '@/i18n/useLanguage';
import { DataTable, type Column } from '@/ui/DataTable';
import { Panel } from '@/ui/Panel';

const STAGE_NUMBERS = [
  'busy_fraction',
  'busy_seconds',
  'idle_seconds',
  'agreement_seconds',
  'optimizer_seconds',
  'peak_bytes',
] as const;
const LINK_NUMBERS = ['busy_fraction', 'busy_seconds', 'step_bytes', 'peak_bytes_per_second'] as const;

type StageUse = Of<'stages'>;
type LinkUse = Of<'links'>;
/** A row of a simulation, and which of those that are shown it is of. */
type Of<List extends 'stages' | 'links'> = Schemas['Simulation'][List][number] & { side: number };

interface Props {
  simulations: readonly Schemas['Simulation'][];
  /** What each is called, where there are several. */
  names?: readonly string[];
  isStale: boolean;
}

/** How each stage and each link spends the step: the timeline as tables. */
export function Uses({ simulations, names, isStale }: Props) {
  const { t } = useTranslation('lanes');
  const side = <Row extends { side: number }>(): Column<Row>[] =>
    names == null ? [] : [{ key: 'plan', title: t('field.plan'), value: (row) => names[row.side] }];
  const stageColumns: Column<StageUse>[] = [
    ...side<StageUse>(),
    { key: 'stage', title: t('field.stage'), value: (row) => row.stage, isNumber: true },
    ...useNumbers<StageUse>(['num_replicas']),
    { key: 'zone', title: t('field.zone'), value: (row) => row.zone },
    { key: 'gpu', title: t('field.gpu'), value: (row) => row.gpu },
    ...useNumbers<StageUse>(STAGE_NUMBERS),
  ];
  const linkColumns: Column<LinkUse>[] = [
    ...side<LinkUse>(),
    { key: 'from_zone', title: t('field.from_zone'), value: (row) => row.from_zone },
    { key: 'to_zone', title: t('field.to_zone'), value: (row) => row.to_zone },
    ...useNumbers<LinkUse>(LINK_NUMBERS),
  ];
  const stages = simulations.flatMap((one, index) => one.stages.map((use) => ({ ...use, side: index })));
  const links = simulations.flatMap((one, index) => one.links.map((use) => ({ ...use, side: index })));
  return (
    <>
      <Panel title={t('stages')} isStale={isStale}>
        <DataTable
          label={t('stages')}
          rows={stages}
          columns={stageColumns}
          rowKey={(row) => [row.side, row.replica, row.stage].join('-')}
          maxHeight="420px"
        />
      </Panel>
      {links.length > 0 && (
        <Panel title={t('links')} isStale={isStale}>
          <DataTable
            label={t('links')}
            rows={links}
            columns={linkColumns}
            rowKey={(row) => [row.side, row.from_zone, row.to_zone].join('-')}
            maxHeight="420px"
          />
        </Panel>
      )}
    </>
  );
}

function useNumbers<Row extends object>(names: readonly (keyof Row & string)[]): Column<Row>[] {
  const { t } = useTranslation('lanes');
  const format = useFormat();
  return names.map((name) => ({
    key: name,
    title: t(`field.${name}`),
    value: (row) => row[name] as number,
    cell: (row) => format.field(name, row[name]),
    isNumber: true,
  }));
}
