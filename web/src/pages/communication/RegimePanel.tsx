import { Text } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat } from '@/i18n/useLanguage';
import { Panel } from '@/ui/Panel';
import { Quantity } from '@/ui/Quantity';
import { ShowAll } from '@/ui/ShowAll';

import classes from './RegimePanel.module.css';

type Slope = Schemas['Slope'];
/** The rest saves less, and is shown on demand. */
const FIRST = 7;

interface Props {
  /** As things are set. */
  regime: Schemas['Regime'];
  /** Of the base: the server works out all of them for it alone. */
  slopes: readonly Slope[];
  /** Of what the slopes are where that is not how things are set. */
  note: string | undefined;
  isStale: boolean;
}

/** What bounds the step: what each part of the hardware would save if it were twice as good. */
export function RegimePanel({ regime, slopes, note, isStale }: Props) {
  const { t } = useTranslation('communication');
  const format = useFormat();
  const widest = Math.max(...slopes.map((each) => each.seconds_saved), Number.MIN_VALUE);
  const [isWhole, setIsWhole] = useState(false);
  const shown = isWhole ? slopes : slopes.slice(0, FIRST);
  const named = (what: string) => regime.slopes.find((each) => each.what === what)?.seconds_saved;
  return (
    <Panel title={t(`regime.${regime.name}.title`)} isStale={isStale}>
      <Text size="sm" mb="sm" data-testid="regime">
        {t(`regime.${regime.name}.why`, {
          share: format.field('fraction', regime.exposed_communication_fraction),
          communication: format.field('saved_seconds', named('communication')),
          gpus: format.field('saved_seconds', named('gpus')),
        })}
      </Text>
      {note != null && (
        <Text size="xs" c="dimmed" mb={4}>
          {note}
        </Text>
      )}
      <ol className={classes.slopes} aria-label={t('regime.slopes')}>
        {shown.map((slope) => (
          <li key={`${slope.what}${slope.from_zone ?? ''}>${slope.to_zone ?? ''}`} className={classes.slope}>
            <span className={classes.what}>
              {t(`slope.${slope.what}`, { from: slope.from_zone, to: slope.to_zone, defaultValue: slope.what })}
            </span>
            <span className={classes.track} aria-hidden>
              <span style={{ width: share(slope, widest), background: `var(--cz-${meaning(slope.what)})` }} />
            </span>
            <span className={classes.value}>
              <Quantity
                name="saved_seconds"
                value={slope.seconds_saved}
                derivation={{ formula: t('regime.formula'), source: t('regime.source') }}
              />
            </span>
          </li>
        ))}
      </ol>
      {slopes.length > FIRST && <ShowAll count={slopes.length} isWhole={isWhole} onChange={setIsWhole} />}
    </Panel>
  );
}

function meaning(what: string): 'compute' | 'zone' {
  return what.startsWith('gpu') ? 'compute' : 'zone';
}

function share(slope: Slope, widest: number): string {
  return `${String((100 * Math.max(slope.seconds_saved, 0)) / widest)}%`;
}
