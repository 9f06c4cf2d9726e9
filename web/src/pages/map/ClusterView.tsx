import { NativeSelect, SegmentedControl, Stack } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import type { LiveAnswer } from '@/job/useAnswer';
import { Panel } from '@/ui/Panel';

import { ClusterMap } from './ClusterMap';
import classes from './ClusterView.module.css';
import { Legend } from './Legend';
import { LinkPanel } from './LinkPanel';
import { LinkTable } from './LinkTable';
import { METRICS, type Metric, type Pair } from './metrics';
import viewClasses from './Views.module.css';

interface Props {
  answer: LiveAnswer;
  problem: Schemas['Problem'];
  holds: ReadonlyMap<string, Schemas['ZonePlace']>;
  /** Look into a zone; without it there is no way in. */
  onOpen?: (zone: string) => void;
}

/** All zones with what crosses the links between them. */
export function ClusterView({ answer, problem, holds, onOpen }: Props) {
  const { t } = useTranslation('map');
  const { zones, links: paths } = problem.cluster;
  const hasPlaces = zones.some((zone) => zone.latitude_degrees != null);
  const areAllPlaced = zones.every((zone) => zone.latitude_degrees != null);
  const [wanted, setWanted] = useState<'geographic' | 'schematic' | null>(null);
  const [metric, setMetric] = useState<Metric>('utilization_fraction');
  const [pair, setPair] = useState<Pair | null>(null);
  const isGeographic = (wanted ?? (areAllPlaced ? 'geographic' : 'schematic')) === 'geographic' && hasPlaces;
  const links = answer.chosen?.prediction.links ?? [];
  const first = links[0] ?? paths[0];
  const known = pair?.every((name) => zones.some((zone) => zone.name === name)) ?? false;
  const chosen: Pair | null = known ? pair : first == null ? null : [first.from_zone, first.to_zone];
  return (
    <>
      <div className={viewClasses.split}>
        <Panel title={t('map.title')} isStale={answer.isStale} aside={<Legend links={links} metric={metric} />}>
          <div className={classes.tools}>
            <SegmentedControl
              aria-label={t('kind.label')}
              value={isGeographic ? 'geographic' : 'schematic'}
              onChange={(value) => {
                setWanted(value as 'geographic' | 'schematic');
              }}
              data={[
                { value: 'geographic', label: t('kind.geographic'), disabled: !hasPlaces },
                { value: 'schematic', label: t('kind.schematic') },
              ]}
            />
            <NativeSelect
              aria-label={t('metric.label')}
              value={metric}
              data={METRICS.map((value) => ({ value, label: t('metric.width', { metric: t(`metric.${value}`) }) }))}
              onChange={(event) => {
                setMetric(event.currentTarget.value as Metric);
              }}
            />
          </div>
          <ClusterMap
            zones={zones}
            holds={holds}
            links={links}
            paths={paths}
            isGeographic={isGeographic}
            metric={metric}
            chosen={known ? pair : null}
            onChoose={setPair}
            onOpen={onOpen}
          />
        </Panel>
        <Stack gap="md">
          <LinkPanel pair={chosen} paths={paths} links={links} isStale={answer.isStale} />
        </Stack>
      </div>
      <LinkTable paths={paths} links={links} chosen={chosen} onChoose={setPair} isStale={answer.isStale} />
    </>
  );
}
