import { useTranslation } from 'react-i18next';

import {
  formatChange,
  formatDifference,
  formatExactMoment,
  formatField,
  formatList,
  formatMoment,
  formatSentences,
  formatSince,
  formatSpan,
} from '@/format';

import { known, type Language } from './languages';

/** The language on the screen. */
export function useLanguage(): Language {
  return known(useTranslation('ui').i18n.language) ?? 'en';
}

/** `format.ts` in the language on the screen. */
export function useFormat() {
  const language = useLanguage();
  return {
    field: (name: string, value: unknown) => formatField(name, value, language),
    change: (name: string, value: number | null | undefined) => formatChange(name, value, language),
    difference: (name: string, value: number | null | undefined) => formatDifference(name, value, language),
    moment: (seconds: number | null | undefined) => formatMoment(seconds, language),
    exactMoment: (seconds: number | null | undefined) => formatExactMoment(seconds, language),
    since: (seconds: number | null | undefined) => formatSince(seconds, language),
    span: (seconds: number | null | undefined) => formatSpan(seconds, language),
    list: (items: readonly string[]) => formatList(items, language),
    sentences: (items: readonly string[]) => formatSentences(items, language),
  };
}

/** What the API calls by name (terms of a step, states, verdicts), in words; a new name is shown as it is. */
export function useTerm() {
  const { t } = useTranslation('terms');
  return (kind: string, name: string) => t(`${kind}.${name}`, { defaultValue: name.replaceAll('_', ' ') });
}
