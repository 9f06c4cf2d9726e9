/**
 * The API, typed by what the server says of itself (`schema.d.ts`).
 *
 *     const prediction = await answer(api.POST('/api/v1/predict', { body: { job } }));
 *
 * `answer` gives the data or throws a `Problem`. Bodies that are sent again on purpose carry an `idempotencyKey()`, and
 * changes of what is kept an `If-Match` with the `ETag` that they were made from (`ifMatch`).
 */
import createClient, { type Middleware } from 'openapi-fetch';

import { offline, problemOf } from './problem';
import type { components, paths } from './schema';
import { token } from './token';

export type Schemas = components['schemas'];

interface Outcome<Data> {
  data?: Data;
  error?: unknown;
  response: Response;
}

const headers: Middleware = {
  onRequest({ request }) {
    const known = token();
    if (known !== '') request.headers.set('Authorization', `Bearer ${known}`);
    request.headers.set('Accept-Language', document.documentElement.lang);
    return request;
  },
  onError: ({ error }) => (isAbort(error) ? (error as Error) : offline(error)),
};

export const api = createClient<paths>();
api.use(headers);

/** The data of an answer. Throws `Problem`. */
export async function answer<Data>(request: Promise<Outcome<Data>>): Promise<Data> {
  const { data, error, response } = await request;
  if (!response.ok) throw problemOf(response.status, error);
  return data as Data;
}

/** The data of an answer with its version, for `ifMatch`. Throws `Problem`. */
export async function answerWithTag<Data>(request: Promise<Outcome<Data>>): Promise<{ data: Data; tag: string }> {
  const outcome = await request;
  return { data: await answer(Promise.resolve(outcome)), tag: outcome.response.headers.get('ETag') ?? '' };
}

/** Change only what is still as it was read: else 412. */
export function ifMatch(tag: string): Record<string, string> {
  return { 'If-Match': tag };
}

/** Of one intention of a person: send the same with each repetition. */
export function idempotencyKey(): Record<string, string> {
  return { 'Idempotency-Key': crypto.randomUUID() };
}

function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}
