/** Both languages say the same things, and every text that the code asks for is there. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';

import { describe, expect, it } from 'vitest';

interface Tree {
  [key: string]: Tree | string;
}

const read = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as Tree;
const SHARED = filesIn('src/i18n/en', /\.json$/).map((path) => [basename(path, '.json'), path] as const);
const OF_PAGES = filesIn('src', /(pages\/\w+|report)\/en\.json$/).map(
  (path) => [basename(dirname(path)), path] as const,
);
const TEXTS = new Map([...SHARED, ...OF_PAGES]);
const CODE = filesIn('src', /\.tsx?$/);

describe.each([...TEXTS])('%s', (_, path) => {
  const english = keys(read(path));
  const chinese = keys(read(path.replace('/en/', '/zh/').replace('/en.json', '/zh.json')));

  it('has the same keys in both languages', () => {
    expect([...chinese.keys()].sort()).toEqual([...english.keys()].sort());
  });

  it('has the same values to fill in', () => {
    const holes = (text: string) => [...text.matchAll(/\{\{(\w+)\}\}/g)].map((match) => match[1]).sort();
    for (const [key, text] of english) expect([key, holes(chinese.get(key) ?? '')]).toEqual([key, holes(text)]);
  });

  it('leaves no text empty', () => {
    expect([...english, ...chinese].filter(([, text]) => text.trim() === '')).toEqual([]);
  });
});

describe('code', () => {
  it('asks only for texts that are there', () => {
    const missing = CODE.flatMap((path) => {
      const code = readFileSync(path, 'utf8');
      const spaces = [...code.matchAll(/useTranslation\(([^)]*)/g)].flatMap(
        ([, names = '']) => names.match(/\w+/g) ?? [],
      );
      const files = spaces.flatMap((space) => TEXTS.get(space) ?? []);
      const known = new Set(files.flatMap((file) => [...keys(read(file)).keys()]));
      const asked = [...code.matchAll(/\bt\('([\w.]+)'/g)].map(([, name = '']) => name);
      return asked.filter((key) => !known.has(key) && !known.has(`${key}_one`)).map((key) => `${path}: ${key}`);
    });
    expect(missing).toEqual([]);
  });
});

function keys(tree: Tree, prefix = ''): Map<string, string> {
  const entries = Object.entries(tree).flatMap(([key, value]) =>
    typeof value === 'string' ? [[prefix + key, value] as const] : [...keys(value, `${prefix}${key}.`)],
  );
  return new Map(entries.map(([key, value]) => [key.replace(/_other$/, '_one'), value]));
}

function filesIn(folder: string, pattern: RegExp): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((path) => `${folder}/${path}`)
    .filter((path) => pattern.test(path));
}
