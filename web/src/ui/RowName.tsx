import { Link } from 'react-router';

import classes from './RowName.module.css';

/** The name of a row of a table, cut where it is long; `to` is the address of what it names. */
export function RowName({ name, to }: { name: string; to?: string }) {
  const look = { className: classes.name, title: name };
  if (to == null) return <span {...look}>{name}</span>;
  return (
    <Link to={to} {...look}>
      {name}
    </Link>
  );
}
