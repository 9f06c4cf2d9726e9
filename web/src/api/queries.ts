/** What pages ask for by GET, each cached under one key. */
import { queryOptions, useQuery } from '@tanstack/react-query';

import { answer, api } from './client';

type Catalog = 'gpus' | 'models' | 'regions' | 'frameworks';

/** What must be known before anything else is asked. */
export const configurationQuery = queryOptions({
  queryKey: ['configuration'],
  queryFn: () => answer(api.GET('/api/v1/configuration')),
  staleTime: Infinity,
});

export const templatesQuery = queryOptions({
  queryKey: ['templates'],
  queryFn: () => answer(api.GET('/api/v1/templates')),
  staleTime: Infinity,
});

/** Whether the server answers, and is warm; asked again and again. */
export const readyQuery = queryOptions({
  queryKey: ['ready'],
  queryFn: ({ signal }) => answer(api.GET('/readyz', { signal })),
  refetchInterval: (query) => (query.state.status === 'success' ? 15_000 : 2000),
  retry: false,
});

/** What a job file can name. */
export function useCatalog(kind: Catalog) {
  return useQuery({
    queryKey: ['catalog', kind],
    queryFn: () => answer(api.GET('/api/v1/catalog/{kind}', { params: { path: { kind } } })),
    staleTime: Infinity,
  });
}
