/** What each catalog lists: its columns are fields of its entries, whose names say their units. */
import type { CatalogKind } from '@/api/queries';

export interface Fact {
  name: string;
  value: unknown;
  source: string;
  url: string;
  retrieved: string;
  note: string;
  is_estimated: boolean;
}

export type Entry = { name: string; facts?: Fact[]; source?: string } & Record<string, unknown>;

/** Fields beside the name; a dot leads into a field. */
export const COLUMNS: Record<CatalogKind, readonly string[]> = {
  gpus: [
    'memory_bytes',
    'memory_bytes_per_second',
    'peak_flop_per_second.bf16',
    'peak_flop_per_second.fp8',
    'fabric_kind',
    'fabric_bytes_per_second',
    'tdp_watts',
  ],
  models: [
    'family',
    'num_parameters',
    'num_active_parameters',
    'num_layers',
    'hidden_size',
    'num_heads',
    'num_experts',
  ],
  regions: ['provider', 'place', 'continent', 'latitude_degrees', 'longitude_degrees'],
  frameworks: ['title', 'version'],
  prices: ['place', 'gpu', 'kind', 'dollars_per_hour', 'date'],
  egress: ['place', 'to', 'dollars_per_byte', 'date'],
  links: ['place', 'to', 'rtt_seconds', 'date'],
};

export const KINDS = Object.keys(COLUMNS) as CatalogKind[];

/** Lists of one place at a time: there are thousands of pairs. */
export const BY_PLACE: readonly CatalogKind[] = ['egress', 'links'];

/** Lists whose entries are one figure each, named by their columns. */
export const FIGURES: readonly CatalogKind[] = ['prices', 'egress', 'links'];

export function fieldOf(entry: Entry, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown> | null)?.[key], entry);
}
