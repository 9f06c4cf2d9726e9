import i18next from 'i18next';
import type { Middleware } from 'openapi-fetch';

import { known as knownLanguage } from '@/i18n/languages';
import { withValue } from '@/job/path';

import type { Answered, Content } from './content';

/** Answers requests of pages with those that the report holds, and asks nobody. */
export function answersOf({ answers }: Pick<Content, 'answers'>): Middleware {
  const known = new Map(answers.map((each) => [keyOf(each.path, each.body), each]));
  return {
    async onRequest({ request, schemaPath }) {
      const text = await request.clone().text();
      const found = known.get(keyOf(schemaPath, text === '' ? null : (JSON.parse(text) as unknown)));
      if (found == null) return Response.json(unanswered(), { status: 404 });
      const told = inLanguage(found, request.headers.get('Accept-Language') ?? '');
      return Response.json(told, { status: found.is_refused ? 422 : 200 });
    },
  };
}

function inLanguage({ answer, chinese }: Answered, language: string): unknown {
  if (knownLanguage(language) !== 'zh') return answer;
  return chinese.reduce((told, { place, text }) => withValue(told, place, text), answer);
}

/** The same for the same request, in whatever order its keys stand. */
function keyOf(path: string, body: unknown): string {
  return path + JSON.stringify(body, (_, value: unknown) => (isObject(value) ? sorted(value) : value));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value != null && !Array.isArray(value);
}

function sorted(value: Record<string, unknown>): Record<string, unknown> {
  const names = Object.keys(value).sort();
  return Object.fromEntries(names.map((name) => [name, value[name]]));
}

function unanswered() {
  const error = { code: 'not_in_report', message: i18next.t('report:unanswered.message'), where: '' };
  return { type: 'urn:crosszone:problem:not-found', errors: [{ ...error, hint: i18next.t('report:unanswered.hint') }] };
}
