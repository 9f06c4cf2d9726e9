import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat, useTerm } from '@/i18n/useLanguage';
import { DataTable, type Column } from '@/ui/DataTable';
import { Panel } from '@/ui/Panel';

import { Degrees, zonesOf } from './PlanWords';
import classes from './Strategy.module.css';

type Answer = Schemas['Answer'];
type RankedPlan = Schemas['RankedPlan'];

export const BASELINE = 'baseline';

export interface Choice {
  /** "1", "2", ... or `BASELINE`. */
  key: string;
  ranked: RankedPlan;
}

interface Props {
  choices: readonly Choice[];
  chosen: string;
  isStale: boolean;
  search: Schemas['Search'];
  /** Without it they are only read. */
  onChoose?: (key: string) => void;
}

/** The ranked plans, and the best of one zone where it is none of them. */
export function choicesOf({ plans, baseline }: Answer): Choice[] {
  const ranked = plans.map((one, index) => ({ key: String(index + 1), ranked: one }));
  const isAmong = plans.some(({ prediction }) => prediction.fingerprint === baseline?.prediction.fingerprint);
  return baseline == null || isAmong ? ranked : [...ranked, { key: BASELINE, ranked: baseline }];
}

/** The plans, best first, and the best of one zone. */
export function RankedPlans({ choices, chosen, isStale, search, onChoose }: Props) {
  const { t } = useTranslation('strategy');
  const format = useFormat();
  const isPriced = choices.some(({ ranked }) => ranked.prediction.costs?.total_dollars != null);
  const columns = useColumns().filter(({ key }) => isPriced || key !== 'total_dollars');
  const note = t('ranked.search', {
    candidates: format.field('num_candidates', search.num_candidates),
    seconds: format.field('elapsed_seconds', search.elapsed_seconds),
  });
  return (
    <Panel title={t('ranked.title')} note={note} isStale={isStale}>
      <DataTable
        label={t('ranked.title')}
        rows={choices}
        columns={columns}
        rowKey={(choice) => choice.key}
        isChosen={(choice) => choice.key === chosen}
        onChoose={
          onChoose &&
          ((choice) => {
            onChoose(choice.key);
          })
        }
      />
    </Panel>
  );
}

function useColumns(): Column<Choice>[] {
  const { t } = useTranslation('strategy');
  const format = useFormat();
  const term = useTerm();
  const number = (name: string, value: (ranked: RankedPlan) => number | null): Column<Choice> => ({
    key: name,
    title: t(`field.${name}`),
    value: ({ ranked }) => value(ranked),
    cell: ({ ranked }) => format.field(name, value(ranked)),
    isNumber: true,
  });
  const word = (name: 'framework' | 'schedule' | 'shard'): Column<Choice> => ({
    key: name,
    title: t(`field.${name}`),
    value: ({ ranked }) => ranked.plan[name],
  });
  return [
    {
      key: 'rank',
      title: t('ranked.rank'),
      value: (choice) => choice.key,
      cell: (choice) =>
        choice.key === BASELINE ? <span className={classes.dim}>{t('ranked.baseline')}</span> : choice.key,
    },
    {
      key: 'plan',
      title: t('ranked.plan'),
      value: ({ ranked }) => ranked.plan.dp,
      cell: ({ ranked }) => <Degrees plan={ranked.plan} />,
    },
    word('framework'),
    word('schedule'),
    word('shard'),
    {
      key: 'zones',
      title: t('field.zones'),
      value: ({ ranked }) => zonesOf(ranked.plan).length,
      cell: ({ ranked }) => <span title={format.list(zonesOf(ranked.plan))}>{zonesOf(ranked.plan).length}</span>,
      isNumber: true,
    },
    number('step_seconds', ({ prediction }) => prediction.step_seconds),
    number('mfu', ({ prediction }) => prediction.mfu),
    number('p50_seconds', ({ prediction }) => prediction.finish.p50_seconds),
    number('total_dollars', ({ prediction }) => prediction.costs?.total_dollars ?? null),
    {
      ...number('peak_bytes', ({ prediction }) => prediction.memory.peak_bytes),
      cell: ({ ranked }) => (
        <span title={term('verdict', ranked.prediction.memory.verdict)}>
          {format.field('peak_bytes', ranked.prediction.memory.peak_bytes)}
          {ranked.prediction.memory.verdict !== 'fits' && (
            <span style={{ color: 'var(--cz-warn)' }}> · {term('verdict', ranked.prediction.memory.verdict)}</span>
          )}
        </span>
      ),
    },
  ];
}
