/**
 * Texts by namespace: `i18n/LANGUAGE/NAME.json` is shared, `pages/NAME/LANGUAGE.json` is of one page. Files are found by
 * their place and loaded when they are first used, so that a page brings its own texts.
 */
import i18next, { type BackendModule } from 'i18next';
import { initReactI18next } from 'react-i18next';

import { firstLanguage, LANGUAGES, rememberLanguage, type Language } from './languages';

type Texts = Record<string, unknown>;

const SHARED = import.meta.glob<Texts>('./*/*.json', { import: 'default' });
const OF_PAGES = import.meta.glob<Texts>('../pages/*/*.json', { import: 'default' });

const files: BackendModule = {
  type: 'backend',
  init: () => undefined,
  read: async (language, namespace) => {
    const load = SHARED[`./${language}/${namespace}.json`] ?? OF_PAGES[`../pages/${namespace}/${language}.json`];
    if (load == null) throw new Error(`no texts of ${namespace} in ${language}`);
    return load();
  },
};

i18next.on('languageChanged', (chosen) => {
  rememberLanguage(chosen as Language);
});

/** Call `listener` whenever a language is chosen, once the page itself is in it. */
export function onLanguage(listener: () => void): void {
  i18next.on('languageChanged', listener);
}

/** Load the shared texts of the first language, and those of a page. */
export async function startTexts(page?: string, language: Language = firstLanguage()): Promise<void> {
  rememberLanguage(language);
  await i18next
    .use(files)
    .use(initReactI18next)
    .init({
      lng: language,
      supportedLngs: LANGUAGES,
      fallbackLng: false,
      ns: ['shell', 'ui', 'terms', 'fields', ...(page == null ? [] : [page])],
      defaultNS: 'ui',
      interpolation: { escapeValue: false }, // React escapes
    });
}
