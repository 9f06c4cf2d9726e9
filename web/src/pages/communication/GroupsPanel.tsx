import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useTerm } from '@/i18n/useLanguage';
import type { Meaning } from '@/theme/palette';
import { DataTable, type Column } from '@/ui/DataTable';
import { Panel } from '@/ui/Panel';
import { StackedBar } from '@/ui/StackedBar';
import { Swatch } from '@/ui/Swatch';

import { Changed } from './Changed';
import { ofTerms } from './derivations';
import type { Tried } from './useWhatIf';

type Group = Schemas['CommunicationGroup'];
type Field = 'exposed_seconds' | 'overlapped_seconds' | 'zone_bytes';

interface Props {
  tried: Tried;
  prediction: Schemas['Prediction'];
  isStale: boolean;
}

/** Who sends: each kind of parallel group, what of it the step waits for and what crosses zones. */
export function GroupsPanel({ tried, prediction, isStale }: Props) {
  const { t } = useTranslation('communication');
  const term = useTerm();
  const all = prediction.communication?.groups ?? [];
  const groups = all.filter((each) => each.exposed_seconds > 0 || each.overlapped_seconds > 0 || each.zone_bytes > 0);
  const number = (field: Field): Column<Group> => ({
    key: field,
    title: t(`column.${field}`),
    isNumber: true,
    value: (row) => row[field],
    cell: (row) => {
      const own = prediction.terms.filter(({ name }) => row.terms.includes(name));
      const derivation = field === 'zone_bytes' ? undefined : ofTerms(own, row.group, field);
      const change = tried.change(`communication.groups[${row.group}].${field}`);
      return <Changed name={field} value={row[field]} change={change} derivation={derivation} />;
    },
  });
  const columns: Column<Group>[] = [
    {
      key: 'group',
      title: t('column.group'),
      value: ({ group }) => term('meaning', group),
      cell: ({ group }) => (
        <>
          <Swatch meaning={group as Meaning} />
          {term('meaning', group)}
        </>
      ),
    },
    number('exposed_seconds'),
    number('overlapped_seconds'),
    number('zone_bytes'),
  ];
  const parts = groups.map((each) => ({
    key: each.group,
    label: term('meaning', each.group),
    meaning: each.group as Meaning,
    value: each.exposed_seconds,
  }));
  return (
    <Panel title={t('groups.title')} isStale={isStale}>
      <StackedBar label={t('groups.title')} name="exposed_seconds" parts={parts} height={20} />
      <div style={{ height: 8 }} />
      <DataTable label={t('groups.title')} rows={groups} columns={columns} rowKey={({ group }) => group} />
    </Panel>
  );
}
