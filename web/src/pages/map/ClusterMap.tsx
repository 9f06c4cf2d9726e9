import { ActionIcon, Tooltip } from '@mantine/core';
import { Maximize, Minus, Plus } from 'lucide-react';
import { useEffect, useMemo, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { formatField } from '@/format';
import { useLanguage } from '@/i18n/useLanguage';
import type { Meaning, Palette } from '@/theme/palette';
import { usePalette } from '@/theme/usePalette';

import classes from './ClusterMap.module.css';
import type { DrawnLink, Ink } from './draw';
import { LAND, projected } from './land';
import { ring, type Place } from './layout';
import { MapDrawing, MOST_LABELS, type Content } from './MapDrawing';
import { joins, type Link, type Metric, type Pair } from './metrics';

interface Props {
  zones: readonly Schemas['Zone'][];
  holds: ReadonlyMap<string, Schemas['ZonePlace']>;
  links: readonly Link[];
  /** All that there are, with those that carry nothing. */
  paths: readonly Schemas['ZoneLink'][];
  isGeographic: boolean;
  metric: Metric;
  chosen: Pair | null;
  onChoose: (pair: Pair | null) => void;
  onOpen: ((zone: string) => void) | undefined;
}

/** Above which links that carry nothing would hide those that do. */
const MOST_IDLE = 120;
const CLOSEST = { geographic: 12, schematic: 1.4 };
const STEP = 1.5;

/** Zones as buttons over a canvas of land and links. */
export function ClusterMap(props: Props) {
  const { zones, holds, links, isGeographic, onChoose, onOpen } = props;
  const { t } = useTranslation('map');
  const canvas = useRef<HTMLCanvasElement>(null);
  const markers = useRef<HTMLDivElement>(null);
  const [drawing, setDrawing] = useState<MapDrawing | null>(null);
  const choose = useRef<(link: number) => void>(null);
  const content = useContent(props);
  useEffect(() => {
    choose.current = (index) => {
      const link = links[index];
      onChoose(link == null ? null : [link.from_zone, link.to_zone]);
    };
  }, [links, onChoose]);
  useEffect(() => {
    if (canvas.current == null || markers.current == null) return undefined;
    const made = new MapDrawing(canvas.current, markers.current, (link) => choose.current?.(link));
    setDrawing(made);
    return () => {
      made.dispose();
    };
  }, []);
  useEffect(() => {
    drawing?.show(content);
  }, [drawing, content]);
  const tools = [
    { label: t('map.closer'), Icon: Plus, act: () => drawing?.zoom(STEP) },
    { label: t('map.farther'), Icon: Minus, act: () => drawing?.zoom(1 / STEP) },
    { label: t('map.all'), Icon: Maximize, act: () => drawing?.fit() },
  ];
  return (
    <div className={classes.map} data-testid="map">
      <canvas ref={canvas} className={classes.canvas} role="img" aria-label={t('map.label')} />
      <div ref={markers} data-many={zones.length > MOST_LABELS}>
        {zones.map(({ name }) => (
          <ZoneMarker key={name} name={name} held={holds.get(name)} onOpen={onOpen} />
        ))}
      </div>
      <div className={classes.tools}>
        {tools.map(({ label, Icon, act }) => (
          <Tooltip key={label} label={label} position="left">
            <ActionIcon variant="default" size="md" aria-label={label} onClick={act}>
              <Icon size={15} />
            </ActionIcon>
          </Tooltip>
        ))}
      </div>
      <span className={classes.hint}>{t(isGeographic ? 'map.hint' : 'map.hintSchematic')}</span>
    </div>
  );
}

interface MarkerProps {
  name: string;
  held: Schemas['ZonePlace'] | undefined;
  onOpen: ((zone: string) => void) | undefined;
}

function ZoneMarker({ name, held, onOpen }: MarkerProps) {
  const { t } = useTranslation('map');
  const gpus = held != null ? t('map.gpus', { working: held.num_working_gpus, count: held.num_gpus }) : '';
  const looks = {
    className: classes.zone,
    'aria-label': `${name} ${gpus}`.trim(), // where zones are many, no text is shown
    'data-working': (held?.num_working_gpus ?? 0) > 0,
  };
  const shown = (
    <>
      <span className={classes.dot} aria-hidden />
      <span className={classes.name}>
        {name} <span className={classes.gpus}>{gpus}</span>
      </span>
    </>
  );
  if (onOpen == null) {
    return (
      <div role="img" {...looks}>
        {shown}
      </div>
    );
  }
  return (
    <button
      type="button"
      {...looks}
      onClick={() => {
        onOpen(name);
      }}
    >
      {shown}
    </button>
  );
}

/** What is drawn, kept as long as nothing of it changes. */
function useContent({ zones, links, paths, isGeographic, metric, chosen }: Props): Content {
  const language = useLanguage();
  const { palette, scheme } = usePalette();
  const places = useMemo(() => placesOf(zones, isGeographic), [zones, isGeographic]);
  const drawn = useMemo(() => {
    const index = new Map(zones.map(({ name }, place) => [name, place]));
    const at = (name: string) => index.get(name) ?? 0;
    const most = Math.max(...links.map((link) => link[metric] ?? 0), Number.MIN_VALUE);
    const busy = links.map((link): DrawnLink => ({
      from: at(link.from_zone),
      to: at(link.to_zone),
      colours: link.groups.map(({ group }) => palette[group as Meaning]),
      weight: (link[metric] ?? 0) / most,
      label: `${formatField('step_bytes', link.step_bytes, language)} · ${formatField(metric, link[metric], language)}`,
    }));
    const pairs = new Set(links.map(({ from_zone: from, to_zone: to }) => [from, to].sort().join('\n')));
    const idle = paths
      .filter(({ from_zone: from, to_zone: to }) => from < to && !pairs.has(`${from}\n${to}`))
      .map(({ from_zone: from, to_zone: to }) => [at(from), at(to)] as const);
    return { links: busy, idle: idle.length > MOST_IDLE ? [] : idle };
  }, [zones, links, paths, metric, palette, language]);
  const chosenLink = links.findIndex((link) => joins(chosen, link));
  return useMemo(
    () => ({
      ...drawn,
      places,
      land: isGeographic ? LAND : null,
      chosen: chosenLink,
      closest: isGeographic ? CLOSEST.geographic : CLOSEST.schematic,
      ink: inkOf(scheme, palette),
    }),
    [drawn, places, isGeographic, chosenLink, scheme, palette],
  );
}

/** Zones whose place is unknown stand on the ring of the schematic map. */
function placesOf(zones: readonly Schemas['Zone'][], isGeographic: boolean): Place[] {
  const schematic = ring(zones.length);
  return zones.map(({ latitude_degrees: latitude, longitude_degrees: longitude }, index) =>
    isGeographic && latitude != null && longitude != null
      ? projected(latitude, longitude)
      : (schematic[index] ?? { x: 0, y: 0 }),
  );
}

function inkOf(scheme: 'light' | 'dark', palette: Palette): Ink {
  const style = getComputedStyle(document.documentElement);
  const variable = (name: string) => style.getPropertyValue(name);
  return {
    palette,
    land: variable(scheme === 'light' ? '--mantine-color-gray-2' : '--mantine-color-dark-5'),
    line: variable(scheme === 'light' ? '--mantine-color-gray-5' : '--mantine-color-dark-3'),
    surface: scheme === 'light' ? variable('--mantine-color-white') : variable('--mantine-color-dark-7'),
    text: variable(scheme === 'light' ? '--mantine-color-gray-9' : '--mantine-color-dark-0'),
    font: getComputedStyle(document.body).fontFamily,
  };
}
