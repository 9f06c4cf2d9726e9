import { describe, expect, it } from 'vitest';

import { tokens, type CodeLanguage } from '@/ui/highlight';

const kinds = (line: string, language: CodeLanguage) =>
  tokens(line, language)
    .filter(({ kind }) => kind != null)
    .map(({ text, kind }) => [text, kind]);

describe('a line', () => {
  it.each<[CodeLanguage, string, string[][]]>([
    [
      'yaml',
      'rtt: 28.6 ms # ping',
      [
        ['rtt', 'key'],
        ['28.6', 'number'],
        ['# ping', 'comment'],
      ],
    ],
    ['yaml', 'gpu: a100-sxm4-80gb', [['gpu', 'key']]],
    [
      'yaml',
      'name: "a # b"',
      [
        ['name', 'key'],
        ['"a # b"', 'string'],
      ],
    ],
    [
      'json',
      '{"a": "b", "c": 1}',
      [
        ['"a"', 'key'],
        ['"b"', 'string'],
        ['"c"', 'key'],
        ['1', 'number'],
      ],
    ],
    [
      'python',
      'def f(): return 1  # x',
      [
        ['def', 'keyword'],
        ['return', 'keyword'],
        ['1', 'number'],
        ['# x', 'comment'],
      ],
    ],
    [
      'shell',
      'export A="$B" # c',
      [
        ['export', 'keyword'],
        ['"$B"', 'string'],
        ['# c', 'comment'],
      ],
    ],
    [
      'toml',
      'rank = 2',
      [
        ['rank', 'key'],
        ['2', 'number'],
      ],
    ],
    ['text', 'if 1', []],
  ])('of %s: %s', (language, line, expected) => {
    expect(kinds(line, language)).toEqual(expected);
  });

  it('is whole again when its pieces are put together', () => {
    const line = '  - {between: [a, b], bandwidth: "10 Gbit/s"}  # as iperf3 says';
    expect(
      tokens(line, 'yaml')
        .map(({ text }) => text)
        .join(''),
    ).toBe(line);
  });
});
