import { Tooltip } from '@mantine/core';

import { useFormat } from '@/i18n/useLanguage';
import type { Meaning } from '@/theme/palette';

import classes from './StackedBar.module.css';

export interface Part {
  key: string;
  label: string;
  meaning: Meaning;
  value: number;
}

interface Props {
  /** What the bar shows, for who cannot see it. */
  label: string;
  /** The field of the API that each part is, for its unit. */
  name: string;
  parts: readonly Part[];
  /** What the whole width means; the sum of the parts where it is left out. */
  total?: number;
  /** Which amount must not be passed, as a mark. */
  limit?: number;
  height?: number;
}

/** Parts of one whole, side by side; each says what it is where the pointer rests. */
export function StackedBar({ label, name, parts, total, limit, height = 20 }: Props) {
  const format = useFormat();
  const shown = parts.filter(({ value }) => value > 0);
  const whole = total ?? shown.reduce((sum, { value }) => sum + value, 0);
  return (
    <div role="img" aria-label={label} className={classes.track} style={{ height }}>
      {shown.map((part) => {
        const style = { flexBasis: `${String((100 * part.value) / whole)}%` };
        return (
          <Tooltip key={part.key} label={`${part.label}: ${format.field(name, part.value)}`}>
            <div className={classes.part} style={{ ...style, background: `var(--cz-${part.meaning})` }} />
          </Tooltip>
        );
      })}
      {limit != null && (
        <i className={classes.limit} style={{ left: `calc(${String((100 * limit) / whole)}% - 2px)` }} />
      )}
    </div>
  );
}
