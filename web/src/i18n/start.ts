/** How texts come to be on the screen, from wherever their files are. */
import i18next, { type BackendModule } from 'i18next';
import { initReactI18next } from 'react-i18next';

import { firstLanguage, LANGUAGES, rememberLanguage, type Language } from './languages';

export type Texts = Record<string, unknown>;
type Find = (language: string, namespace: string) => Promise<Texts> | Texts | undefined;

i18next.on('languageChanged', (chosen) => {
  rememberLanguage(chosen as Language);
});

/** Call `listener` whenever a language is chosen, once the page itself is in it. */
export function onLanguage(listener: () => void): void {
  i18next.on('languageChanged', listener);
}

/** Load `spaces` in the first language; others are found when they are first used. */
export async function startWith(find: Find, spaces: readonly string[], language?: Language): Promise<void> {
  const files: BackendModule = {
    type: 'backend',
    init: () => undefined,
    read: async (wanted, namespace) => {
      const texts = await find(wanted, namespace);
      if (texts == null) throw new Error(`no texts of ${namespace} in ${wanted}`);
      return texts;
    },
  };
  const first = language ?? firstLanguage();
  rememberLanguage(first);
  await i18next
    .use(files)
    .use(initReactI18next)
    .init({
      lng: first,
      supportedLngs: LANGUAGES,
      fallbackLng: false,
      ns: ['shell', 'ui', 'terms', ...spaces],
      defaultNS: 'ui',
      interpolation: { escapeValue: false }, // React escapes
    });
}
