import { useCallback, useEffect, useRef, useState } from 'react';

import { answer, api, type Schemas } from '@/api/client';
import { followEvents } from '@/api/events';

type Operation = Schemas['Operation'];
export type Validation = Schemas['Validation'];

export interface Validating {
  /** How far the server is; null where nothing is computed. */
  operation: Operation | null;
  result: Validation | null;
  problem: Error | null;
  start: (table: string) => void;
  cancel: () => void;
}

/** A table of measured runs, compared by an operation of the server. */
export function useValidation(): Validating {
  const [operation, setOperation] = useState<Operation | null>(null);
  const [result, setResult] = useState<Validation | null>(null);
  const [problem, setProblem] = useState<Error | null>(null);
  const leaving = useRef<AbortController>(null);
  useEffect(() => () => leaving.current?.abort(), []);

  const start = useCallback((table: string) => {
    leaving.current?.abort();
    const mine = new AbortController();
    leaving.current = mine;
    setProblem(null);
    setResult(null);
    run(table, mine.signal, setOperation)
      .then(setResult)
      .catch((error: unknown) => {
        if (!mine.signal.aborted) setProblem(error as Error);
      })
      .finally(() => {
        if (leaving.current === mine) setOperation(null);
      });
  }, []);
  const cancel = useCallback(() => {
    leaving.current?.abort();
    if (operation != null) {
      const path = { operation_id: operation.id };
      void api.POST('/api/v1/operations/{operation_id}/cancel', { params: { path } });
    }
    setOperation(null);
  }, [operation]);
  return { operation, result, problem, start, cancel };
}

async function run(table: string, signal: AbortSignal, onOperation: (operation: Operation) => void) {
  const headers = { Prefer: 'respond-async' };
  const begun = (await answer(
    api.POST('/api/v1/validate', { body: { table }, headers, signal }),
  )) as unknown as Operation;
  onOperation(begun);
  const onEvent = ({ data }: { data: unknown }) => {
    onOperation(data as Operation);
  };
  await followEvents(`/api/v1/operations/${begun.id}/events`, { signal, onEvent });
  const path = { operation_id: begun.id };
  const result = await answer(api.GET('/api/v1/operations/{operation_id}/result', { params: { path }, signal }));
  return result as unknown as Validation;
}
