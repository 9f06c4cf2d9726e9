/** The land of the earth, without borders: Natural Earth (public domain), as world-atlas has it. */
import { geoNaturalEarth1, geoPath } from 'd3-geo';
import { feature } from 'topojson-client';
import type { Topology } from 'topojson-specification';
import source from 'world-atlas/land-110m.json?url';

import type { Place } from './layout';

/** Of the projected earth, in units of the drawing before zoom. */
export const EARTH = { width: 1000, height: 520 } as const;

// Data beside the scripts: the page waits for it, as it does for its own script.
const topology = (await (await fetch(source)).json()) as Topology;
const land = feature(topology, topology.objects['land'] as never);
const projection = geoNaturalEarth1().fitSize([EARTH.width, EARTH.height], { type: 'Sphere' });

/** As a path of the drawing. */
export const LAND = new Path2D(geoPath(projection)(land as never) ?? '');

/** Where a point of the earth is drawn. */
export function projected(latitudeDegrees: number, longitudeDegrees: number): Place {
  const [x, y] = projection([longitudeDegrees, latitudeDegrees]) ?? [0, 0];
  return { x, y };
}
