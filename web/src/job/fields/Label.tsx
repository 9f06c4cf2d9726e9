import { Tooltip } from '@mantine/core';

import classes from './Label.module.css';

/** The name of a field; what it means comes where the pointer rests. */
export function Label({ label, help }: { label: string; help: string }) {
  return (
    <Tooltip label={help}>
      <span className={classes.label}>{label}</span>
    </Tooltip>
  );
}
