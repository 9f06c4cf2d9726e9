import { Difference } from '@/ui/Difference';
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

/** A number, and before it how far that is from the base. */
export function Changed({ name, value, change, derivation }: Props) {
  return (
    <span className={classes.changed}>
      <span className={classes.difference}>
        <Difference name={name} change={change} />
      </span>
      <Quantity name={name} value={value} derivation={derivation} />
    </span>
  );
}
