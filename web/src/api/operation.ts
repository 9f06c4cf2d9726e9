/** What may take long, asked for as an operation: it begins on demand, tells how far it is, and can be given up. */
import { useCallback, useEffect, useRef, useState } from 'react';

import { useLanguage } from '@/i18n/useLanguage';

import { answer, api, type Schemas } from './client';
import { followEvents } from './events';
import { Problem, problemOf } from './problem';
import { token } from './token';

interface Asked {
  plan: Schemas['PlanArguments'];
  simulate: Schemas['SimulateArguments'];
  deploy: Schemas['DeployArguments'];
  validate: Schemas['ValidateArguments'];
}

export interface Running<Data> {
  data: Data | undefined;
  /** Null where nothing runs. */
  state: Schemas['Operation'] | null;
  isRunning: boolean;
  problem: Problem | null;
  start: () => void;
  cancel: () => void;
}

/** The answer of a verb to `body`, once `start` is called; forgotten when `body` changes. */
export function useOperation<Data>(verb: keyof Asked, body: Asked[keyof Asked] | null): Running<Data> {
  const text = body == null ? '' : JSON.stringify(body);
  const [known, setKnown] = useState<Known<Data>>({ text, ...NOTHING });
  const controller = useRef<AbortController>(null);
  const id = useRef('');
  if (known.text !== text) setKnown({ text, ...NOTHING });

  useEffect(
    () => () => {
      controller.current?.abort();
      giveUp(id.current);
      id.current = '';
    },
    [text],
  );

  const start = useCallback(() => {
    const mine = new AbortController();
    controller.current = mine;
    const tell = (change: Partial<Known<Data>>) => {
      if (!mine.signal.aborted) setKnown((before) => ({ ...before, ...change }));
    };
    tell({ ...NOTHING, isRunning: true });
    run<Data>(verb, text, mine.signal, (state) => {
      id.current = state.id;
      tell({ state });
    })
      .then((data) => {
        tell({ data, isRunning: false });
      })
      .catch((error: unknown) => {
        tell({ problem: error instanceof Problem ? error : problemOf(0, null), isRunning: false });
      });
  }, [verb, text]);

  const language = useLanguage();
  const told = useRef(language);
  useEffect(() => {
    if (told.current === language) return;
    told.current = language;
    if (known.data === undefined) return;
    result<Data>(id.current, controller.current?.signal)
      .then((data) => {
        setKnown((before) => (before.text === text ? { ...before, data } : before));
      })
      .catch(() => null); // no longer kept by the server: it stays as it was told
  }, [language, known.data, text]);

  const cancel = useCallback(() => {
    controller.current?.abort();
    giveUp(id.current);
    setKnown((before) => ({ ...before, ...NOTHING }));
  }, []);
  return { data: known.data, state: known.state, isRunning: known.isRunning, problem: known.problem, start, cancel };
}

interface Known<Data> {
  text: string;
  data: Data | undefined;
  state: Schemas['Operation'] | null;
  isRunning: boolean;
  problem: Problem | null;
}

const NOTHING = { data: undefined, state: null, isRunning: false, problem: null };

async function run<Data>(
  verb: keyof Asked,
  body: string,
  signal: AbortSignal,
  onState: (state: Schemas['Operation']) => void,
): Promise<Data> {
  // `openapi-fetch` gives the body of 200 its type; what begins is a 202.
  const headers: Record<string, string> = {
    'Content-Type': 'application/json',
    'Accept-Language': document.documentElement.lang,
    Prefer: 'respond-async',
  };
  if (token() !== '') headers['Authorization'] = `Bearer ${token()}`;
  const response = await fetch(`/api/v1/${verb}`, { method: 'POST', headers, body, signal });
  const begun = (await response.json()) as Schemas['Operation'];
  if (!response.ok) throw problemOf(response.status, begun);
  onState(begun);
  const path = `/api/v1/operations/${begun.id}`;
  const over = new AbortController();
  await followEvents(`${path}/events`, {
    signal: AbortSignal.any([signal, over.signal]),
    onEvent: ({ data }) => {
      const state = data as Schemas['Operation'];
      onState(state);
      if (state.ended_seconds != null) over.abort();
    },
  });
  return result<Data>(begun.id, signal);
}

async function result<Data>(id: string, signal: AbortSignal | undefined): Promise<Data> {
  const get = api.GET as (path: string, init: object) => Promise<{ data?: unknown; response: Response }>;
  return (await answer(get(`/api/v1/operations/${id}/result`, { signal }))) as Data;
}

function giveUp(id: string): void {
  if (id === '') return;
  void api
    .POST('/api/v1/operations/{operation_id}/cancel', { params: { path: { operation_id: id } } })
    .catch(() => null);
}
