import { useFormat } from '@/i18n/useLanguage';
import { Quantity, type Derivation } from '@/ui/Quantity';

import classes from './Changed.module.css';
import type { Change } from './useWhatIf';

interface Props {
  /** The field of the API: its last words are the unit. */
  name: string;
  value: number | null | undefined;
  /** What became of it; nothing is shown where it stayed. */
  change: Change | undefined;
  derivation?: Derivation | undefined;
}

/** A number, and before it how far that is from the base: green is better, red is worse. */
export function Changed({ name, value, change, derivation }: Props) {
  return (
    <span className={classes.changed}>
      <Difference name={name} change={change} />
      <Quantity name={name} value={value} derivation={derivation} />
    </span>
  );
}

/** How far a number is from the base. */
export function Difference({ name, change }: { name: string; change: Change | undefined }) {
  const format = useFormat();
  if (change?.difference == null || change.is_gain == null) return null;
  return (
    <span className={classes.difference} data-gain={change.is_gain}>
      {format.change(name, change.difference)}
    </span>
  );
}
