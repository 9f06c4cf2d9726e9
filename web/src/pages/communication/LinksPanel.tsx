import { Text } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useTerm } from '@/i18n/useLanguage';
import type { Meaning } from '@/theme/palette';
import { DataTable, type Column } from '@/ui/DataTable';
import { Panel } from '@/ui/Panel';
import { Swatch } from '@/ui/Swatch';
import type { Derivation } from '@/ui/Quantity';

import { Changed } from './Changed';
import { ofLink } from './derivations';
import type { Tried } from './useWhatIf';

type Link = Schemas['Link'];
type Field = 'step_bytes' | 'raw_seconds' | 'exposed_seconds' | 'utilization_fraction' | 'dollars_per_hour';

interface Props {
  tried: Tried;
  prediction: Schemas['Prediction'];
  isStale: boolean;
}

/** What crosses each zone link, one direction each. */
export function LinksPanel({ tried, prediction, isStale }: Props) {
  const { t } = useTranslation('communication');
  const term = useTerm();
  const number = (field: Field, derivation?: (row: Link) => Derivation): Column<Link> => ({
    key: field,
    title: t(`column.${field}`),
    isNumber: true,
    value: (row) => row[field],
    cell: (row) => {
      const change = tried.change(`links[${row.from_zone},${row.to_zone}].${field}`);
      return <Changed name={field} value={row[field]} change={change} derivation={derivation?.(row)} />;
    },
  });
  const columns: Column<Link>[] = [
    {
      key: 'link',
      title: t('column.link'),
      value: linkName,
      cell: (row) => (
        <>
          {row.groups.map(({ group }) => (
            <span key={group} title={term('meaning', group)}>
              <Swatch meaning={group as Meaning} />
              <span className="visually-hidden">{term('meaning', group)} </span>
            </span>
          ))}
          {linkName(row)}
        </>
      ),
    },
    number('step_bytes', (row) => ({
      formula: t('links.sent'),
      inputs: row.groups.map((each) => ({ name: `${each.group}_step_bytes`, value: each.step_bytes })),
    })),
    number('raw_seconds', (row) => ofLink(row, 'raw_seconds', prediction.step_seconds)),
    number('exposed_seconds'),
    number('utilization_fraction', (row) => ofLink(row, 'utilization_fraction', prediction.step_seconds)),
    number('dollars_per_hour'),
  ];
  return (
    <Panel title={t('links.title')} isStale={isStale}>
      {prediction.links.length === 0 ? (
        <Text c="dimmed">{t('links.none')}</Text>
      ) : (
        <DataTable
          label={t('links.title')}
          rows={prediction.links}
          columns={columns}
          rowKey={(row) => `${row.from_zone}>${row.to_zone}`}
          maxHeight="360px"
        />
      )}
    </Panel>
  );
}

function linkName(link: Link): string {
  return `${link.from_zone} → ${link.to_zone}`;
}
