/** Colours for the files that we show: enough to find one's way, in a hundredth of the size of an editor's grammars. */
export type CodeLanguage = 'yaml' | 'json' | 'python' | 'shell' | 'toml' | 'text';
export type TokenKind = 'comment' | 'key' | 'string' | 'number' | 'keyword';

export interface Token {
  text: string;
  kind: TokenKind | null;
}

const STRING = String.raw`(?<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')`;
const NUMBER = String.raw`(?<number>(?<![\w.-])-?\d[\d_.]*(?:e[+-]?\d+)?(?![\w-]))`;
const COMMENT = String.raw`(?<comment>(?<=^|\s)#.*)`;
const PYTHON_WORDS =
  'and|as|assert|async|await|break|class|continue|def|del|elif|else|except|finally|for|from|if|import|in|is|lambda|' +
  'not|or|pass|raise|return|try|while|with|yield|True|False|None';
const SHELL_WORDS = 'case|do|done|elif|else|esac|exec|exit|export|fi|for|function|if|in|local|return|set|then|while';

/** In each, what comes first is taken first. */
const PATTERNS: Record<CodeLanguage, RegExp | null> = {
  yaml: pattern(COMMENT, String.raw`(?<key>[\w.$/-]+(?=:(?:\s|$)))`, STRING, NUMBER, words('true|false|null')),
  json: pattern(String.raw`(?<key>"(?:[^"\\]|\\.)*"(?=\s*:))`, STRING, NUMBER, words('true|false|null')),
  toml: pattern(COMMENT, String.raw`(?<key>^\s*[\w.-]+(?=\s*=)|^\s*\[.*\])`, STRING, NUMBER, words('true|false')),
  python: pattern(COMMENT, STRING, words(PYTHON_WORDS), NUMBER),
  shell: pattern(COMMENT, STRING, String.raw`(?<key>\$\{?\w+\}?)`, words(SHELL_WORDS)),
  text: null,
};

/** The pieces of one line, which together are the line. */
export function tokens(line: string, language: CodeLanguage): Token[] {
  const found: Token[] = [];
  const regular = PATTERNS[language];
  let end = 0;
  for (const match of regular == null ? [] : line.matchAll(regular)) {
    if (match.index > end) found.push({ text: line.slice(end, match.index), kind: null });
    const [kind] = Object.entries(match.groups ?? {}).find(([, text]) => text !== undefined) ?? [null];
    found.push({ text: match[0], kind: kind as TokenKind | null });
    end = match.index + match[0].length;
  }
  if (end < line.length) found.push({ text: line.slice(end), kind: null });
  return found;
}

function pattern(...parts: readonly string[]): RegExp {
  return new RegExp(parts.join('|'), 'g');
}

function words(list: string): string {
  return String.raw`(?<keyword>\b(?:${list})\b)`;
}
