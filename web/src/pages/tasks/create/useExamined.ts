import { useLive, type Live } from '@/api/live';
import type { Schemas } from '@/api/client';
import { useLanguage } from '@/i18n/useLanguage';

import { fieldAt, requestOf, type Draft, type Field } from './draft';

export type ExaminationError = Schemas['TaskExamination']['errors'][number];

export interface Examined {
  /** What the request comes to; null: nothing is chosen yet. */
  request: Live<Schemas['TaskExamination']>;
  /** What the chosen environments have together, and who of them is the main one. */
  cluster: Live<Schemas['ChosenCluster']>;
  /** What is wrong with a field, in the language on the screen. */
  errorOf: (field: Field) => string | null;
  /** What is wrong, but with no field. */
  others: readonly ExaminationError[];
}

/** The draft as the server sees it, while it is written. Nothing is kept of it. */
export function useExamined(draft: Draft): Examined {
  const language = useLanguage();
  const ids = [...draft.nodeIds];
  const main = draft.masterNode === '' ? {} : { main_node: draft.masterNode };
  const request = useLive('training-tasks/examine', requestOf(draft));
  const cluster = useLive('environments/cluster', ids.length === 0 ? null : { ids, ...main });
  const errors = request.data?.errors ?? [];
  const text = (error: ExaminationError) => {
    const message = language === 'zh' ? error.message_zh || error.message : error.message;
    return error.hint === '' ? message : `${message} ${error.hint}`;
  };
  return {
    request,
    cluster,
    errorOf: (field) => {
      const found = errors.filter((error) => fieldAt(error.where) === field);
      return found.length === 0 ? null : found.map(text).join(' ');
    },
    others: errors.filter((error) => fieldAt(error.where) == null),
  };
}
