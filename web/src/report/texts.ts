import { startWith, type Texts } from '@/i18n/start';

const FILES = import.meta.glob<Texts>(
  ['../i18n/*/{shell,ui,terms,lanes}.json', '../pages/{plan,strategy,map,communication}/*.json', './*.json'],
  { eager: true, import: 'default' },
);
const SPACES = ['report', 'plan', 'strategy', 'map', 'communication', 'lanes'] as const;

/** All texts of the report are in it. */
export function startTexts(): Promise<void> {
  return startWith(
    (language, space) =>
      FILES[`../i18n/${language}/${space}.json`] ??
      FILES[`../pages/${space}/${language}.json`] ??
      FILES[`./${language}.json`],
    SPACES,
  );
}
