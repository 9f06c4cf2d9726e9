import type { Schemas } from '@/api/client';
import { useFormat } from '@/i18n/useLanguage';

import classes from './Difference.module.css';

interface Props {
  /** The field of the API: its last words are the unit. */
  name: string;
  /** What became of it; nothing is shown where it stayed. */
  change: Pick<Schemas['Change'], 'difference' | 'is_gain'> | undefined;
}

/** How far a number is from the base: green is better, red is worse. */
export function Difference({ name, change }: Props) {
  const format = useFormat();
  if (change?.difference == null || change.is_gain == null) return null;
  return (
    <span className={classes.difference} data-gain={change.is_gain}>
      {format.difference(name, change.difference)}
    </span>
  );
}
