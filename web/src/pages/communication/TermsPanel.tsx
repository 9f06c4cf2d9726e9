import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useTerm } from '@/i18n/useLanguage';
import { termMeaning } from '@/theme/palette';
import { DataTable, type Column } from '@/ui/DataTable';
import { Panel } from '@/ui/Panel';
import { Swatch } from '@/ui/Swatch';

import { Changed } from './Changed';
import type { Tried } from './useWhatIf';

type Term = Schemas['Term'];

interface Props {
  tried: Tried;
  prediction: Schemas['Prediction'];
  isStale: boolean;
}

/** The terms of the step that are communication, each with its formula. */
export function TermsPanel({ tried, prediction, isStale }: Props) {
  const { t } = useTranslation('communication');
  const term = useTerm();
  const names = new Set(prediction.communication?.groups.flatMap(({ terms }) => terms));
  const terms = prediction.terms.filter(
    (each) => names.has(each.name) && (each.exposed_seconds > 0 || each.overlapped_seconds > 0),
  );
  const seconds = (field: 'exposed_seconds' | 'overlapped_seconds'): Column<Term> => ({
    key: field,
    title: t(`column.${field}`),
    isNumber: true,
    value: (row) => row[field],
    cell: (row) => (
      <Changed
        name={field}
        value={row[field]}
        change={tried.change(`terms[${row.name}].${field}`)}
        derivation={field === 'exposed_seconds' ? row : undefined}
      />
    ),
  });
  const columns: Column<Term>[] = [
    {
      key: 'term',
      title: t('column.term'),
      value: ({ name }) => term('term', name),
      cell: ({ name }) => (
        <>
          <Swatch meaning={termMeaning(name)} />
          {term('term', name)}
        </>
      ),
    },
    seconds('exposed_seconds'),
    seconds('overlapped_seconds'),
  ];
  return (
    <Panel title={t('terms.title')} isStale={isStale}>
      <DataTable label={t('terms.title')} rows={terms} columns={columns} rowKey={({ name }) => name} />
    </Panel>
  );
}
