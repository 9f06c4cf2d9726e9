/**
 * One colour for each meaning, the same on every page, light and dark. The hues are those of Okabe and Ito 2008 ("Color
 * Universal Design") and of Paul Tol's "muted" scheme (SRON/EPS/TN/09-002), which people with any colour vision tell
 * apart; they are darker on white and lighter on black, for a contrast of 3:1 to the ground beside them.
 */
export type Scheme = 'light' | 'dark';

type Colour = readonly [light: string, dark: string];

const COLOURS = {
  compute: ['#0072b2', '#56b4e9'],
  backward: ['#4f5bd5', '#8b95f2'],
  recompute: ['#4a90c4', '#8fc7ea'],
  optimizer: ['#7a8b99', '#9fb3c2'],
  overhead: ['#818a94', '#8b949e'],
  bubble: ['#b3bac2', '#5b6470'],
  tp: ['#00795a', '#2fbf93'],
  cp: ['#806c00', '#e0cc4a'],
  ep: ['#882255', '#d77fa9'],
  pp: ['#9a4f8a', '#dc96bf'],
  dp: ['#b94a00', '#f08a4b'],
  embedding: ['#7a5c3e', '#c2a17d'],
  zone: ['#b3261e', '#ff8a80'],
  weight: ['#332288', '#8f86d8'],
  gradient: ['#b8505f', '#e08a97'],
  moments: ['#a08a2c', '#ddcc77'],
  activation: ['#2e8b7e', '#5cc3b4'],
  buffer: ['#3f93b5', '#88ccee'],
  good: ['#1a7f37', '#3fb950'],
  warn: ['#9a6700', '#d9a21b'],
  bad: ['#c4271b', '#ff7b72'],
} as const satisfies Record<string, Colour>;

/** `optimizer` is the step of the optimizer, `moments` its states in memory; `zone` is what crosses zones. */
export type Meaning = keyof typeof COLOURS;
export type Palette = Record<Meaning, string>;

export const MEANINGS = Object.keys(COLOURS) as Meaning[];

export function palette(scheme: Scheme): Palette {
  const place = scheme === 'light' ? 0 : 1;
  return Object.fromEntries(MEANINGS.map((meaning) => [meaning, COLOURS[meaning][place]])) as Palette;
}

/** Each term of a step by what it spends its time on. */
const TERM_MEANINGS: Record<string, Meaning> = {
  matrix_multiply: 'compute',
  attention: 'compute',
  memory_bound: 'compute',
  embedding_head_loss: 'compute',
  kernel_launch: 'overhead',
  recompute: 'recompute',
  tensor_parallel: 'tp',
  context_parallel: 'cp',
  expert_parallel: 'ep',
  weight_gather: 'dp',
  gradient_agreement: 'dp',
  pipeline_send: 'pp',
  zone_pipeline_send: 'zone',
  zone_agreement: 'zone',
  embedding_agreement: 'embedding',
  pipeline_bubble: 'bubble',
  optimizer: 'optimizer',
};

/** The colour of a term of a step; a term that is new here is drawn as overhead. */
export function termMeaning(name: string): Meaning {
  return TERM_MEANINGS[name] ?? 'overhead';
}

/** The parts of a rank's memory in the order in which they are drawn, each a field of `StageMemory`. */
export const MEMORY_PARTS = [
  ['weight_bytes', 'weight'],
  ['gradient_bytes', 'gradient'],
  ['optimizer_bytes', 'moments'],
  ['activation_bytes', 'activation'],
  ['buffer_bytes', 'buffer'],
  ['overhead_bytes', 'overhead'],
] as const satisfies readonly (readonly [string, Meaning])[];
