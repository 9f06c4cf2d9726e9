import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useTerm } from '@/i18n/useLanguage';
import { termMeaning } from '@/theme/palette';
import { DataTable, type Column } from '@/ui/DataTable';
import { Panel } from '@/ui/Panel';
import { Quantity } from '@/ui/Quantity';
import { StackedBar } from '@/ui/StackedBar';
import { Swatch } from '@/ui/Swatch';

type Term = Schemas['Term'];

/** Where the step goes: each term, what of it is exposed, and how it is computed. */
export function StepPanel({ prediction, isStale }: { prediction: Schemas['Prediction']; isStale: boolean }) {
  const { t } = useTranslation('plan');
  const term = useTerm();
  const terms = prediction.terms.filter((each) => each.exposed_seconds > 0 || each.overlapped_seconds > 0);
  const columns: Column<Term>[] = [
    {
      key: 'name',
      title: t('step.term'),
      value: ({ name }) => term('term', name),
      cell: ({ name }) => (
        <>
          <Swatch meaning={termMeaning(name)} />
          {term('term', name)}
        </>
      ),
    },
    secondsColumn('exposed_seconds', t('step.exposed')),
    secondsColumn('overlapped_seconds', t('step.hidden')),
  ];
  const parts = terms.map((each) => ({
    key: each.name,
    label: term('term', each.name),
    meaning: termMeaning(each.name),
    value: each.exposed_seconds,
  }));
  return (
    <Panel title={t('step.title')} isStale={isStale}>
      <StackedBar label={t('step.title')} name="exposed_seconds" parts={parts} height={24} />
      <div style={{ height: 8 }} />
      <DataTable label={t('step.title')} rows={terms} columns={columns} rowKey={({ name }) => name} />
    </Panel>
  );
}

function secondsColumn(name: 'exposed_seconds' | 'overlapped_seconds', title: string): Column<Term> {
  return {
    key: name,
    title,
    isNumber: true,
    value: (row) => row[name],
    cell: (row) => <Quantity name={name} value={row[name]} derivation={name === 'exposed_seconds' ? row : undefined} />,
  };
}
