import { Text } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { useFormat, useTerm } from '@/i18n/useLanguage';
import { Swatch } from '@/ui/Swatch';

import { meaningOf, type Slice, type Track } from './scene';
import classes from './Timeline.module.css';

const FIELDS = ['start_seconds', 'duration_seconds', 'moved_bytes', 'num_spans', 'busy_fraction'] as const;

interface Props {
  slice: Slice | undefined;
  track: Track | undefined;
  place: string;
}

/** All that is known of the slice that is selected. */
export function Selection({ slice, track, place }: Props) {
  const { t } = useTranslation('lanes');
  const format = useFormat();
  const term = useTerm();
  if (slice == null || track == null) {
    return (
      <div className={classes.selection}>
        <Text size="sm" c="dimmed">
          {t('selection.none')}
        </Text>
      </div>
    );
  }
  const isMerged = slice.num_spans > 1;
  const shown = FIELDS.filter((field) =>
    field === 'moved_bytes' ? slice.moved_bytes > 0 : isMerged || !['num_spans', 'busy_fraction'].includes(field),
  );
  const args = Object.entries(slice.args);
  return (
    <div className={classes.selection} role="status" aria-label={t('selection.title')}>
      <Text fw={600} size="sm">
        <Swatch meaning={meaningOf(slice.category)} />
        {slice.name}
      </Text>
      <Text size="sm" c="dimmed">
        {t(`category.${slice.category}`, { defaultValue: term('term', slice.category) })} · {place}
      </Text>
      <dl>
        {shown.map((field) => (
          <div key={field}>
            <dt>{t(`field.${field}`)}</dt>
            <dd>{format.field(field, slice[field])}</dd>
          </div>
        ))}
        {args.map(([name, value]) => (
          <div key={name}>
            <dt>{t(`field.${name}`, { defaultValue: name.replaceAll('_', ' ') })}</dt>
            <dd>{format.field(name, value)}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
