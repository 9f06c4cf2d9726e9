/**
 * Texts by namespace: `i18n/LANGUAGE/NAME.json` is shared, `pages/NAME/LANGUAGE.json` is of one page. Files are found by
 * their place and loaded when they are first used, so that a page brings its own texts.
 */
import type { Language } from './languages';
import { startWith, type Texts } from './start';

const SHARED = import.meta.glob<Texts>('./*/*.json', { import: 'default' });
const OF_PAGES = import.meta.glob<Texts>('../pages/*/*.json', { import: 'default' });

/** Load the shared texts of the first language, and those of a page. */
export function startTexts(page?: string, language?: Language): Promise<void> {
  return startWith(
    (wanted, space) => (SHARED[`./${wanted}/${space}.json`] ?? OF_PAGES[`../pages/${space}/${wanted}.json`])?.(),
    ['fields', ...(page == null ? [] : [page])],
    language,
  );
}
