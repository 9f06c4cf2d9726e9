import type { Schemas } from '@/api/client';

export type Link = Schemas['Link'];

/** What the width of a link can mean: fields of the answer. */
export const METRICS = [
  'utilization_fraction',
  'step_bytes',
  'raw_seconds',
  'exposed_seconds',
  'dollars_per_hour',
] as const;
export type Metric = (typeof METRICS)[number];

export function linkName(link: Pick<Link, 'from_zone' | 'to_zone'>): string {
  return `${link.from_zone} → ${link.to_zone}`;
}

/** The two zones of a link, whichever way. */
export type Pair = readonly [string, string];

export function joins(pair: Pair | null, link: Pick<Link, 'from_zone' | 'to_zone'>): boolean {
  return pair != null && pair.includes(link.from_zone) && pair.includes(link.to_zone);
}
