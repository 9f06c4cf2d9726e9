import { Tooltip } from '@mantine/core';
import { Fragment } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat, useTerm } from '@/i18n/useLanguage';
import { termMeaning } from '@/theme/palette';
import { Quantity } from '@/ui/Quantity';

import classes from './Strategy.module.css';

type Term = Schemas['Term'];

const LEAST_SHARE = 1e-5; // of the step: below a pixel

/** How the terms of a step add up to it, each where the one before ends; what is hidden behind others is hatched. */
export function Waterfall({ prediction }: { prediction: Schemas['Prediction'] }) {
  const { t } = useTranslation('strategy');
  const format = useFormat();
  const term = useTerm();
  const rows = stacked(prediction.terms, prediction.step_seconds);
  return (
    <div className={classes.bars} role="group" aria-label={t('waterfall.title')}>
      {rows.map(({ term: one, left, width, hidden }) => (
        <Fragment key={one.name}>
          <span className={classes.label}>{term('term', one.name)}</span>
          <div className={`${classes.lane ?? ''} ${classes.ruled ?? ''}`} aria-hidden>
            <Tooltip label={t('waterfall.exposed', { seconds: format.field('exposed_seconds', one.exposed_seconds) })}>
              <div className={classes.bar} style={{ left, width, background: `var(--cz-${termMeaning(one.name)})` }} />
            </Tooltip>
            {one.overlapped_seconds > 0 && (
              <Tooltip
                label={t('waterfall.hidden', { seconds: format.field('overlapped_seconds', one.overlapped_seconds) })}
              >
                <div
                  className={`${classes.bar ?? ''} ${classes.hidden ?? ''}`}
                  style={{ ...hidden, backgroundColor: `var(--cz-${termMeaning(one.name)})` }}
                />
              </Tooltip>
            )}
          </div>
          <span className={classes.value}>
            <Quantity name="exposed_seconds" value={one.exposed_seconds} derivation={one} />
          </span>
        </Fragment>
      ))}
      <strong className={classes.label}>{t('field.step_seconds')}</strong>
      <div className={`${classes.lane ?? ''} ${classes.ruled ?? ''}`} aria-hidden />
      <strong className={classes.value}>
        <Quantity name="step_seconds" value={prediction.step_seconds} />
      </strong>
    </div>
  );
}

/** Where each bar lies; terms that take no time are left out. */
function stacked(terms: readonly Term[], step: number) {
  const percent = (seconds: number) => `${String((100 * seconds) / step)}%`;
  let end = 0;
  return terms
    .filter((one) => one.exposed_seconds + one.overlapped_seconds > LEAST_SHARE * step)
    .map((one) => {
      const left = end;
      end += one.exposed_seconds;
      const hidden = Math.min(one.overlapped_seconds, left); // drawn before its exposed part, within the step
      const place = { left: percent(left - hidden), width: percent(hidden) };
      return { term: one, left: percent(left), width: percent(one.exposed_seconds), hidden: place };
    });
}
