/** An environment as the form has it: what people write, as an inventory has it. */
import type { Environment } from '@/inventory/useEnvironments';

export const KEYS = [
  ...(['name', 'zone', 'kind', 'status', 'region', 'gpu', 'gpus', 'cpus', 'memory', 'network', 'addresses'] as const),
  ...(['interface', 'image', 'frameworks', 'price', 'health'] as const),
];
export type Key = (typeof KEYS)[number];
export type Entry = Record<Key, string>;

const LISTS: readonly Key[] = ['addresses', 'frameworks'];
const COUNTS: readonly Key[] = ['gpus', 'cpus'];
export const EMPTY_ENTRY = Object.fromEntries(KEYS.map((key) => [key, ''])) as Entry;

/** What is known of an environment; `write` gives a quantity with its unit. */
export function entryOf(known: Environment, write: (name: string, value: number) => string): Entry {
  const quantity = (name: string, value: number | null) => (value == null ? '' : write(name, value));
  return {
    name: known.name,
    zone: known.zone,
    kind: known.kind,
    status: known.status,
    region: known.region ?? '',
    gpu: known.gpu ?? '',
    gpus: String(known.num_gpus),
    cpus: known.num_cpus == null ? '' : String(known.num_cpus),
    memory: quantity('memory_bytes', known.memory_bytes),
    network: quantity('network_bytes_per_second', known.network_bytes_per_second),
    addresses: known.addresses.join(' '),
    interface: known.interface ?? '',
    image: known.image ?? '',
    frameworks: known.frameworks.join(' '),
    price: quantity('dollars_per_second', known.dollars_per_gpu_second),
    health: known.health ?? '',
  };
}

/** Only what was changed; what was emptied is taken away. */
export function changesOf(before: Entry, after: Entry): Record<string, unknown> {
  const changed = KEYS.filter((key) => before[key] !== after[key]);
  return Object.fromEntries(changed.map((key) => [key, valueOf(key, after[key])]));
}

function valueOf(key: Key, text: string): unknown {
  if (text.trim() === '') return null;
  if (LISTS.includes(key)) return text.trim().split(/[\s,;]+/);
  return COUNTS.includes(key) && /^\d{1,9}$/.test(text) ? Number(text) : text;
}
