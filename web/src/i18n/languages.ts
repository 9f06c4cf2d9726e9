/** The languages of the UI, and which of them a browser asks for. */
export const LANGUAGES = ['en', 'zh'] as const;

export type Language = (typeof LANGUAGES)[number];

/** A text in each language, where it stands in code because it must be there before any file is loaded. */
export type Text = Record<Language, string>;

const STORED_AT = 'crosszone.language';

/** What the person chose before, else what the browser prefers, else English. */
export function firstLanguage(): Language {
  const wanted = [localStorage.getItem(STORED_AT) ?? '', ...navigator.languages];
  return wanted.map(known).find((language) => language != null) ?? 'en';
}

/** Remember a choice, and tell the page's own language for screen readers and hyphenation. */
export function rememberLanguage(language: Language): void {
  localStorage.setItem(STORED_AT, language);
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
}

export function known(tag: string): Language | undefined {
  return LANGUAGES.find((language) => tag.toLowerCase().startsWith(language));
}
