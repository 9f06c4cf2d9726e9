import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat } from '@/i18n/useLanguage';
import { Difference } from '@/ui/Difference';
import { Quantity, type Derivation } from '@/ui/Quantity';
import { Tile, Tiles } from '@/ui/Tiles';

import { ofGroups, ofTerms } from './derivations';
import classes from './Totals.module.css';
import type { Change, Tried } from './useWhatIf';

interface Props {
  tried: Tried;
  prediction: Schemas['Prediction'];
  isStale: boolean;
}

/** The sums: what is sent, what the step waits for, what runs behind compute, what it costs. */
export function Totals({ tried, prediction, isStale }: Props) {
  const { t } = useTranslation('communication');
  const format = useFormat();
  const sent = prediction.communication;
  const groups = sent?.groups ?? [];
  const tile = (place: string, value: number | null | undefined, derivation?: Derivation, note?: ReactNode) => ({
    ...{ place, value, derivation, note, change: tried.change(place) },
  });
  const tiles = [
    tile('step_seconds', prediction.step_seconds, ofTerms(prediction.terms, 'step_seconds')),
    tile(
      'communication.exposed_seconds',
      sent?.exposed_seconds,
      ofGroups(groups, 'exposed_seconds'),
      t('totals.ofStep', { share: format.field('fraction', prediction.exposed_communication_fraction) }),
    ),
    tile('communication.overlapped_seconds', sent?.overlapped_seconds, ofGroups(groups, 'overlapped_seconds')),
    tile('communication.zone_bytes', sent?.zone_bytes, ofGroups(groups, 'zone_bytes'), t('totals.bothWays')),
    tile('communication.zone_dollars_per_hour', sent?.zone_dollars_per_hour, undefined, t('totals.egress')),
    tile('cross_zone_penalty_ratio', prediction.cross_zone_penalty_ratio, {
      formula: t('totals.penaltyFormula'),
      inputs: [{ name: 'step_seconds', value: prediction.step_seconds }],
    }),
  ];
  return (
    <Tiles className={classes.tiles} isStale={isStale} testId="totals">
      {tiles.map((each) => (
        <Figure key={each.place} {...each} />
      ))}
    </Tiles>
  );
}

interface FigureProps {
  place: string;
  value: number | null | undefined;
  change: Change | undefined;
  derivation?: Derivation | undefined;
  note?: ReactNode;
}

function Figure({ place, value, change, derivation, note }: FigureProps) {
  const { t } = useTranslation('communication');
  const name = place.slice(place.lastIndexOf('.') + 1);
  return (
    <Tile
      label={t(`totals.${name}.label`)}
      help={t(`totals.${name}.help`)}
      field={place}
      note={
        <div className={classes.note}>
          <Difference name={name} change={change} /> {note}
        </div>
      }
    >
      <Quantity name={name} value={value} derivation={derivation} />
    </Tile>
  );
}
