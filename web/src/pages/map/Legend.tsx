import { useTranslation } from 'react-i18next';

import { useFormat, useTerm } from '@/i18n/useLanguage';
import type { Meaning } from '@/theme/palette';
import { Swatch } from '@/ui/Swatch';

import classes from './Legend.module.css';
import type { Link, Metric } from './metrics';

/** What colour and width of a link mean, with the number of the widest. */
export function Legend({ links, metric }: { links: readonly Link[]; metric: Metric }) {
  const { t } = useTranslation('map');
  const term = useTerm();
  const format = useFormat();
  const groups = [...new Set(links.flatMap((link) => link.groups.map(({ group }) => group)))];
  const known = links.flatMap((link) => link[metric] ?? []);
  return (
    <div className={classes.legend}>
      {groups.map((group) => (
        <span key={group} className={classes.item}>
          <Swatch meaning={group as Meaning} />
          {term('meaning', group)}
        </span>
      ))}
      <span className={classes.item}>
        <span className={classes.wedge} aria-hidden />
        {known.length === 0
          ? t('legend.unknown', { metric: t(`metric.${metric}`) })
          : t('legend.widest', { metric: t(`metric.${metric}`), value: format.field(metric, Math.max(...known)) })}
      </span>
    </div>
  );
}
