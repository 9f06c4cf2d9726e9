/**
 * Numbers as people read them: the twin of `crosszone/units.py`, and the only file of the UI that formats.
 *
 * What a number is stands in the last words of its name, as everywhere in the program: `peak_bytes` is bytes. So
 * `formatField('peak_bytes', 7.2e10)` is "72 GB". Both files pass `tests/unit/units_cases.json`.
 */
import type { Language } from '@/i18n/languages';

type Value = number | null | undefined;

const WORDS = {
  en: { unknown: 'unknown', infinite: 'infinite', yes: 'yes', no: 'no', points: ' points' },
  zh: { unknown: '未知', infinite: '无穷大', yes: '是', no: '否', points: ' 个百分点' },
};
const DECIMAL: Prefixes = { '': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15, E: 1e18 };
const WORK: Prefixes = { ...DECIMAL, Z: 1e21, Y: 1e24 };
const COUNT: Prefixes = { '': 1, K: 1e3, M: 1e6, B: 1e9, T: 1e12 };
const BITS_PER_BYTE = 8;
const SECONDS_PER_HOUR = 3600;
/** Each unit of time with its seconds, and from how many seconds on it is used. */
const TIMES = [
  ['d', 86_400, 172_800],
  ['h', 3600, 7200],
  ['min', 60, 120],
  ['s', 1, 1],
  ['ms', 1e-3, 1e-3],
  ['µs', 1e-6, 1e-6],
  ['ns', 1e-9, 0],
] as const;

const SPANS = [
  [{ en: 'd', zh: '天' }, 86_400],
  [{ en: 'h', zh: '小时' }, 3600],
  [{ en: 'min', zh: '分' }, 60],
  [{ en: 's', zh: '秒' }, 1],
] as const;

type Prefixes = Record<string, number>;
type Writer = (value: number) => string;

const WRITERS = {
  tokens_per_second_per_gpu: (value) => `${count(value)}/s`,
  tokens_per_second: (value) => `${count(value)}/s`,
  flop_per_second_per_gpu: (value) => prefixed(value, 'FLOP/s'),
  flop_per_second: (value) => prefixed(value, 'FLOP/s'),
  // Memory and fabrics are sold in bytes, networks in bits.
  memory_bytes_per_second: (value) => prefixed(value, 'B/s'),
  fabric_bytes_per_second: (value) => prefixed(value, 'B/s'),
  pcie_bytes_per_second: (value) => prefixed(value, 'B/s'),
  bytes_per_second: (value) => prefixed(value * BITS_PER_BYTE, 'bit/s'),
  dollars_per_gpu_second: (value) => `${money(value * SECONDS_PER_HOUR)} USD/h`,
  dollars_per_second: (value) => `${money(value * SECONDS_PER_HOUR)} USD/h`,
  dollars_per_hour: (value) => `${money(value)} USD/h`,
  dollars_per_byte: (value) => `${significant(value * 1e9, 3)} USD/GB`,
  bytes: (value) => prefixed(value, 'B'),
  seconds: (value) => seconds(value),
  dollars: (value) => `${money(value)} USD`,
  flop: (value) => prefixed(value, 'FLOP', WORK),
  meters: (value) => prefixed(value, 'm', { '': 1, k: 1000 }),
  hertz: (value) => prefixed(value, 'Hz', DECIMAL, 4),
  watts: (value) => prefixed(value, 'W'),
  joules: (value) => prefixed(value / SECONDS_PER_HOUR, 'Wh'),
  fraction: (value) => `${significant(value * 100, 3)} %`,
  probability: (value) => `${significant(value * 100, 3)} %`,
  mfu: (value) => `${significant(value * 100, 3)} %`,
  hfu: (value) => `${significant(value * 100, 3)} %`,
  ratio: (value) => `${significant(value, 3)} ×`,
  count: (value) => count(value),
} satisfies Record<string, Writer>;

export type Quantity = keyof typeof WRITERS;

/** What a field of the API holds, by the last words of its name; a name without a unit is a count. */
export function quantityOf(name: string): Quantity {
  const last = name.slice(name.lastIndexOf('.') + 1);
  const found = Object.keys(WRITERS).find((quantity) => last === quantity || last.endsWith(`_${quantity}`));
  return (found ?? 'count') as Quantity;
}

/** "72 GB", "198 s"; what has no number is "unknown", never zero. */
export function formatQuantity(quantity: Quantity, value: Value, language: Language = 'en'): string {
  if (value == null || Number.isNaN(value)) return WORDS[language].unknown;
  if (!Number.isFinite(value)) return `${value < 0 ? '-' : ''}${WORDS[language].infinite}`;
  return WRITERS[quantity](value);
}

/** The value of a field of the API by the unit in its name. */
export function formatField(name: string, value: unknown, language: Language = 'en'): string {
  if (typeof value === 'boolean') return value ? WORDS[language].yes : WORDS[language].no;
  if (typeof value === 'string') return value;
  return formatQuantity(quantityOf(name), value as Value, language);
}

/** How much of a field's base unit is one of that in which a value is written: round numbers of it are round to read. */
export function writtenUnit(name: string, value: number): number {
  return quantityOf(name) === 'seconds' ? timeOf(value)[1] : 1;
}

/** How far a value is from another: "+1.2 s"; "+1.2 points" of what is itself a share, which is no share of the other. */
export function formatDifference(name: string, value: Value, language: Language = 'en'): string {
  return formatChange(name, value, language).replace(/ %$/, WORDS[language].points);
}

/** A change, with its sign: "+1.2 s", or "+5 %" of what changed. */
export function formatChange(name: string, value: Value, language: Language = 'en'): string {
  const text = formatQuantity(quantityOf(name), value, language);
  return value != null && value > 0 ? `+${text}` : text.replace(/^-/, '−');
}

/** "21 Nov 2026, 14:03", in the reader's own time. `seconds` since 1970, UTC. */
export function formatMoment(value: Value, language: Language): string {
  if (value == null) return WORDS[language].unknown;
  const options: Intl.DateTimeFormatOptions = { dateStyle: 'medium', timeStyle: 'short', hourCycle: 'h23' };
  return new Intl.DateTimeFormat(language === 'zh' ? 'zh-CN' : 'en-GB', options).format(value * 1000);
}

/** "21 Nov 2026, 14:03:37": what follows quickly on what came before it. */
export function formatExactMoment(value: Value, language: Language): string {
  if (value == null) return WORDS[language].unknown;
  const options: Intl.DateTimeFormatOptions = { dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23' };
  return new Intl.DateTimeFormat(language === 'zh' ? 'zh-CN' : 'en-GB', options).format(value * 1000);
}

/** "5 d 3 h", "12 h", "40 s": how long something has lasted, in its two largest units. */
export function formatSpan(value: Value, language: Language): string {
  if (value == null || Number.isNaN(value)) return WORDS[language].unknown;
  const rest = Math.max(Math.floor(value), 0);
  const first = SPANS.findIndex(([, seconds]) => rest >= seconds);
  const shown = SPANS.slice(first < 0 ? -1 : first).slice(0, 2);
  let left = rest;
  const parts = shown.map(([unit, seconds]) => {
    const number = Math.floor(left / seconds);
    left -= number * seconds;
    return [number, unit[language]] as const;
  });
  const space = language === 'zh' ? '' : ' ';
  const written = parts.filter(([number], index) => number > 0 || index === 0);
  return written.map(([number, unit]) => `${String(number)}${space}${unit}`).join(space);
}

/** How long ago a moment was. `seconds` since 1970, UTC. */
export function formatSince(value: Value, language: Language): string {
  return formatSpan(value == null ? value : Date.now() / 1000 - value, language);
}

/** The first twelve digits of a digest: enough to tell bundles apart by eye. */
export function formatDigest(id: string): string {
  return id.replace(/^sha256-/, '').slice(0, 12);
}

/** "a, b and c" in the words of the language; "a、b、c", since a 和 between Latin names would need spaces. */
export function formatList(items: readonly string[], language: Language): string {
  return language === 'zh' ? items.join('、') : new Intl.ListFormat('en-GB').format(items);
}

/** Sentences after each other: Chinese ones need no space. */
export function formatSentences(sentences: readonly string[], language: Language): string {
  return sentences.join(language === 'zh' ? '' : ' ');
}

function prefixed(value: number, symbol: string, prefixes: Prefixes = DECIMAL, digits = 3, space = ' '): string {
  const rounded = Number(rounding(Math.abs(value), digits)); // 999.9 becomes 1000 first, then "1 k"
  const usable = Object.entries(prefixes).filter(([, factor]) => rounded >= factor);
  const [prefix, factor] = usable.at(-1) ?? ['', 1];
  return `${significant(value / factor, digits)}${space}${prefix}${symbol}`;
}

function seconds(value: number): string {
  if (value === 0) return '0 s';
  const [unit, scale] = timeOf(value);
  return `${significant(value / scale, 3)} ${unit}`;
}

function timeOf(value: number) {
  const rounded = Number(rounding(Math.abs(value), 3));
  return TIMES.find(([, , start]) => rounded >= start) ?? (['ns', 1e-9] as const);
}

function count(value: number): string {
  if (Math.abs(value) < 10_000 && Number.isInteger(value)) return String(value);
  return prefixed(value, '', COUNT, 3, '');
}

function money(dollars: number): string {
  if (Math.abs(dollars) >= 999.995) return fixed(dollars, 0);
  return Math.abs(dollars) >= 0.995 || dollars === 0 ? fixed(dollars, 2) : significant(dollars, 3);
}

/** So many significant digits, without trailing zeros, and as far as possible without an exponent. */
function significant(value: number, digits: number): string {
  if (value === 0) return '0';
  const rounded = Number(rounding(value, digits));
  const size = Math.abs(value);
  if (size >= 1e-6 && size < 1e15) return size >= 1 ? shortest(rounded) : withoutZeros(rounded.toFixed(12));
  const [mantissa = '', exponent = ''] = rounded.toExponential().split('e');
  return `${mantissa}e${exponent.slice(0, 1)}${exponent.slice(1).padStart(2, '0')}`;
}

function shortest(value: number): string {
  return Math.abs(value) >= 1e6 ? value.toFixed(0) : String(value);
}

function withoutZeros(text: string): string {
  return text.replace(/\.?0+$/, '');
}

/** Rounded to so many significant digits; a tie goes to the even digit, as in Python and IEEE 754. */
function rounding(value: number, digits: number): string {
  const [mantissa = '', exponent = ''] = value.toExponential(99).split('e');
  const [, first = '', rest = ''] = /^-?(\d)\.(\d+)$/.exec(mantissa) ?? [];
  const all = first + rest;
  const isTie = /^50*$/.test(all.slice(digits));
  if (!isTie || Number(all[digits - 1]) % 2 === 1) return value.toPrecision(digits);
  const kept = `${all[0] ?? ''}.${all.slice(1, digits)}`;
  return `${value < 0 ? '-' : ''}${kept}e${exponent}`;
}

/** With so many digits behind the point; ties as above. */
function fixed(value: number, digits: number): string {
  const size = Math.floor(Math.log10(Math.max(Math.abs(value), Number.MIN_VALUE))) + 1 + digits;
  return size < 1 ? value.toFixed(digits) : Number(rounding(value, Math.min(size, 100))).toFixed(digits);
}
