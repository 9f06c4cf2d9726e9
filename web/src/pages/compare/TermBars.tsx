import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useTerm } from '@/i18n/useLanguage';
import { termMeaning } from '@/theme/palette';
import { Quantity } from '@/ui/Quantity';
import { StackedBar } from '@/ui/StackedBar';
import { Swatch } from '@/ui/Swatch';

import classes from './ComparePage.module.css';

type SideBySide = Schemas['SideBySide'];

interface TermRow {
  name: string;
  values: number[];
}

const EXPOSED = /^terms\[(\w+)\]\.exposed_seconds$/;

/** One step of each side on one scale of time, by what it is spent on; the numbers stand in the table of terms. */
export function TermBars({ found }: { found: SideBySide }) {
  const { t } = useTranslation('compare');
  const term = useTerm();
  const terms = useMemo(() => termsOf(found), [found]);
  const step = found.rows.find(({ name }) => name === 'step_seconds');
  const steps = (step?.values ?? []) as (number | null)[];
  const longest = Math.max(...steps.map((seconds) => seconds ?? 0));
  const meanings = [...new Set(terms.map(({ name }) => termMeaning(name)))];
  return (
    <>
      <div className={classes.bars}>
        {found.sides.map((side, index) => (
          <div key={side.name + String(index)} className={classes.bar}>
            <span className={classes.side}>{side.name}</span>
            <StackedBar
              label={t('steps.label', { name: side.name })}
              name="exposed_seconds"
              total={longest}
              parts={terms.map(({ name, values }) => ({
                key: name,
                label: term('term', name),
                meaning: termMeaning(name),
                value: values[index] ?? 0,
              }))}
            />
            <Quantity name="step_seconds" value={steps[index]} />
            <span className={classes.far}>
              {steps[index] !== steps[0] && (
                <Quantity name="step_seconds" value={step?.differences?.[index]} isChange />
              )}
            </span>
          </div>
        ))}
      </div>
      <ul className={classes.legend}>
        {meanings.map((meaning) => (
          <li key={meaning}>
            <Swatch meaning={meaning} />
            {term('meaning', meaning)}
          </li>
        ))}
      </ul>
    </>
  );
}

/** Terms that any side has, in the order of a step. */
function termsOf(found: SideBySide): TermRow[] {
  return found.rows.flatMap((row) => {
    const name = EXPOSED.exec(row.name)?.[1];
    const values = row.values.map((value) => (typeof value === 'number' ? value : 0));
    return name == null || values.every((value) => value === 0) ? [] : [{ name, values }];
  });
}
