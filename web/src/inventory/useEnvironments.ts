import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { useSearchParams } from 'react-router';

import { answer, api, type Schemas } from '@/api/client';

export type Environment = Schemas['Environment'];

/** What the inventory can be narrowed by; each stands in the address under its name. */
export const FILTERS = ['zone', 'gpu', 'status', 'framework'] as const;
export const SORTS = ['name', '-gpus', 'price', '-uptime', '-seen', 'zone'] as const;
export type Filter = (typeof FILTERS)[number];
const MOST_SHOWN = 1000;

export interface Narrowing {
  text: string;
  sort: string;
  chosen: Record<Filter, string>;
  /** Empty: it is taken away. */
  set: (name: Filter | 'text' | 'sort', value: string) => void;
  clear: () => void;
  isNarrow: boolean;
}

/** The filters, kept in the address so that a narrowed list can be sent to others. */
export function useNarrowing(): Narrowing {
  const [params, setParams] = useSearchParams();
  return useMemo(() => {
    const chosen = Object.fromEntries(FILTERS.map((name) => [name, params.get(name) ?? ''])) as Record<Filter, string>;
    const text = params.get('text') ?? '';
    const change = (edit: (next: URLSearchParams) => void) => {
      setParams(
        (before) => {
          const next = new URLSearchParams(before);
          edit(next);
          return next;
        },
        { replace: true },
      );
    };
    return {
      chosen,
      text,
      sort: params.get('sort') ?? SORTS[0],
      set: (name, value) => {
        change((next) => {
          if (value === '') next.delete(name);
          else next.set(name, value);
        });
      },
      clear: () => {
        change((next) => {
          for (const name of [...FILTERS, 'text']) next.delete(name);
        });
      },
      isNarrow: text !== '' || FILTERS.some((name) => chosen[name] !== ''),
    };
  }, [params, setParams]);
}

/** The inventory, or what of it passes the filters. */
export function useEnvironments(narrowing?: Narrowing) {
  const query = {
    limit: MOST_SHOWN,
    sort: narrowing?.sort ?? SORTS[0],
    text: narrowing?.text ?? '',
    ...Object.fromEntries(FILTERS.map((name) => [name, [narrowing?.chosen[name] ?? ''].filter(Boolean)])),
  };
  return useQuery({
    queryKey: ['environments', query],
    queryFn: () => answer(api.GET('/api/v1/environments', { params: { query } })),
    placeholderData: keepPreviousData,
    refetchInterval: 30_000,
  });
}
