import { Group } from '@mantine/core';

import classes from './Brand.module.css';
import icon from './icon.svg';

/** Whose page it is. */
export function Brand() {
  return (
    <Group gap={8} wrap="nowrap">
      <img src={icon} alt="" width={20} height={20} />
      <span className={classes.name} translate="no">
        {'CrossZone'}
      </span>
    </Group>
  );
}
