import { Text } from '@mantine/core';

import { Quantity } from '@/ui/Quantity';

import classes from './ValidationPage.module.css';

export interface TileOf {
  /** The field of the API that it is. */
  name: string;
  label: string;
  value: number | null | undefined;
  note: string;
  /** Written with its sign. */
  isChange?: boolean;
}

/** The numbers that a model of cost is judged by. */
export function Tiles({ tiles }: { tiles: readonly TileOf[] }) {
  return (
    <dl className={classes.tiles}>
      {tiles.map(({ name, label, value, note, isChange = false }) => (
        <div key={name}>
          <dt>{label}</dt>
          <dd className={classes.value} data-field={name}>
            <Quantity name={name} value={value} isChange={isChange} />
          </dd>
          <Text component="dd" size="xs" c="dimmed">
            {note}
          </Text>
        </div>
      ))}
    </dl>
  );
}
