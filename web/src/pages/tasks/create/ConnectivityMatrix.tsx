import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat } from '@/i18n/useLanguage';

import classes from './ConnectivityMatrix.module.css';

type Path = Schemas['EnvironmentPath'];

interface Props {
  ids: readonly string[];
  names: readonly string[];
  paths: readonly Path[];
  isStale: boolean;
}

/** From each row to each column: whether it connects, how long the round trip takes, how much goes through. */
export function ConnectivityMatrix({ ids, names, paths, isStale }: Props) {
  const { t } = useTranslation('tasks');
  return (
    <div className={classes.scroll} data-stale={isStale}>
      <table className={classes.matrix} data-testid="connectivity">
        <thead>
          <tr>
            <th scope="col" className={classes.corner}>
              {t('create.fromTo')}
            </th>
            {names.map((name) => (
              <th key={name} scope="col" title={name}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {ids.map((from, row) => (
            <tr key={from}>
              <th scope="row" title={names[row]}>
                {names[row]}
              </th>
              {ids.map((to) => (
                <Cell
                  key={to}
                  path={paths.find((each) => each.from_environment === from && each.to_environment === to)}
                />
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Cell({ path }: { path: Path | undefined }) {
  const { t } = useTranslation('tasks');
  const format = useFormat();
  if (path == null) return <td className={classes.self}>{'–'}</td>;
  const level = path.is_open == null ? 'unknown' : path.is_open ? 'open' : 'closed';
  const when = path.seen_seconds == null ? '' : format.moment(path.seen_seconds);
  return (
    <td data-level={level} title={t(`create.path.${path.is_measured ? 'measured' : 'assumed'}`, { when })}>
      <span className={classes.level}>{t(`create.path.${level}`)}</span>
      <span className={classes.figures}>
        {path.rtt_seconds == null ? null : (
          <data value={path.rtt_seconds}>{format.field('rtt_seconds', path.rtt_seconds)}</data>
        )}
        {path.bytes_per_second == null ? null : (
          <data value={path.bytes_per_second}>{format.field('bytes_per_second', path.bytes_per_second)}</data>
        )}
      </span>
    </td>
  );
}
