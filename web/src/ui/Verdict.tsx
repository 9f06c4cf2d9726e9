import { useTerm } from '@/i18n/useLanguage';

import classes from './Verdict.module.css';

/** Whether a plan fits the memory of its GPUs, as a word in its colour. */
export function Verdict({ value }: { value: string }) {
  const term = useTerm();
  return (
    <span className={classes.verdict} data-verdict={value}>
      {term('verdict', value)}
    </span>
  );
}
