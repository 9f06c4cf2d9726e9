/** What can be tried: each control is a key of the job file, as `crosszone whatif --set` takes it. */
import type { Schemas } from '@/api/client';

/** By key, what is written instead; a control that is left alone is not in it. */
export type Settings = Readonly<Record<string, string>>;

export interface Control {
  /** Of the job file; also what `settings` holds it under. */
  key: string;
  /** Of its label and help in the texts of this page. */
  name: string;
  kind: 'text' | 'choice' | 'factor';
  /** Of a choice: where the schema lists what can be said, or the values themselves. */
  definition?: string;
  choices?: readonly string[];
  /** What the base has. */
  base: (plan: Schemas['Plan'], problem: Schemas['Problem']) => string | number | null;
}

export interface ControlGroup {
  name: string;
  /** Whether training goes another way with what is in it. */
  changesMathematics: boolean;
  controls: readonly Control[];
}

/** By which a link is made better or worse. */
export const FACTORS = ['0.1', '0.2', '0.5', '1', '2', '5', '10'] as const;
const CODECS = ['none', 'bf16', 'int8_block', 'int4', 'powersgd_rank_4', 'topk_100'] as const;
const none = () => null;

export const GROUPS: readonly ControlGroup[] = [
  {
    name: 'links',
    changesMathematics: false,
    controls: [
      { key: 'links.*.bandwidth', name: 'bandwidth', kind: 'factor', base: none },
      { key: 'links.*.rtt', name: 'rtt', kind: 'factor', base: none },
      { key: 'links.*.streams', name: 'streams', kind: 'text', base: none },
      {
        ...{ key: 'links.*.congestion_control', name: 'congestionControl', kind: 'choice' },
        ...{ choices: ['cubic', 'bbr'], base: none },
      },
    ],
  },
  {
    name: 'overlap',
    changesMathematics: false,
    controls: [
      { key: 'plan.microbatch_size', name: 'microbatch', kind: 'text', base: (plan) => plan.microbatch_size },
      { key: 'plan.bucket_bytes', name: 'bucket', kind: 'text', base: none },
      { key: 'plan.prefetch', name: 'prefetch', kind: 'text', base: (plan) => plan.prefetch },
      {
        ...{ key: 'plan.sync.algorithm', name: 'algorithm', kind: 'choice', choices: ['ring', 'tree', 'direct'] },
        base: (plan) => plan.sync.algorithm,
      },
      { key: 'plan.shard', name: 'shard', kind: 'choice', definition: 'Plan', base: (plan) => plan.shard },
      { key: 'plan.recompute', name: 'recompute', kind: 'choice', definition: 'Plan', base: (plan) => plan.recompute },
      { key: 'plan.schedule', name: 'schedule', kind: 'choice', definition: 'Plan', base: (plan) => plan.schedule },
      { key: 'plan.overlap_fraction', name: 'overlap', kind: 'text', base: (plan) => plan.overlap_fraction },
    ],
  },
  {
    name: 'agreement',
    changesMathematics: true,
    controls: [
      { key: 'plan.sync.method', name: 'method', kind: 'choice', definition: 'Sync', base: (plan) => plan.sync.method },
      { key: 'plan.sync.every', name: 'every', kind: 'text', base: (plan) => plan.sync.every },
      { key: 'plan.sync.codecs.gradients', name: 'gradients', kind: 'choice', choices: CODECS, base: none },
      { key: 'plan.sync.codecs.activations', name: 'activations', kind: 'choice', choices: CODECS, base: none },
      {
        ...{ key: 'workload.global_batch_size', name: 'batch', kind: 'text' },
        base: (_, problem) => problem.workload.global_batch_size,
      },
    ],
  },
];

const KEYS = new Set(GROUPS.flatMap(({ controls }) => controls.map(({ key }) => key)));

/** What is set though no control has it, as advice on one link. */
export function withoutControl(settings: Settings): [string, string][] {
  return Object.entries(settings).filter(([key]) => !KEYS.has(key));
}

/** As the server takes them. */
export function settingTexts(settings: Settings): string[] {
  return Object.entries(settings).map(([key, value]) => `${key}=${value}`);
}

/** The other way round; a value may hold "=". */
export function settingsOf(texts: readonly string[]): Settings {
  return Object.fromEntries(
    texts.map((text) => {
      const end = text.indexOf('=');
      return [text.slice(0, end), text.slice(end + 1)];
    }),
  );
}

/** `settings` with one of them another; empty is as the base. */
export function withSetting(settings: Settings, key: string, value: string): Settings {
  const others = Object.entries(settings).filter(([name]) => name !== key);
  return Object.fromEntries(value === '' ? others : [...others, [key, value]]);
}
