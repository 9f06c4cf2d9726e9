/** What pages ask for by GET, each cached under one key. */
import { queryOptions, useQuery } from '@tanstack/react-query';

import { answer, api } from './client';

export type CatalogKind = 'gpus' | 'models' | 'regions' | 'frameworks' | 'prices' | 'egress' | 'links';

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

/** JSON Schema of the job file. */
export const schemaQuery = queryOptions({
  queryKey: ['schema'],
  queryFn: () => answer(api.GET('/api/v1/schema')),
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
export function useCatalog(kind: CatalogKind) {
  return useQuery({
    queryKey: ['catalog', kind],
    queryFn: () => answer(api.GET('/api/v1/catalog/{kind}', { params: { path: { kind } } })),
    staleTime: Infinity,
  });
}

/** The figures of a catalog that are from one place. */
export function useCatalogOf(kind: CatalogKind, name: string) {
  return useQuery({
    queryKey: ['catalog', kind, name],
    queryFn: () => answer(api.GET('/api/v1/catalog/{kind}/{name}', { params: { path: { kind, name } } })),
    staleTime: Infinity,
  });
}

/** How near predictions were to published runs. */
export const accuracyQuery = queryOptions({
  queryKey: ['accuracy'],
  queryFn: () => answer(api.GET('/api/v1/accuracy')),
  staleTime: Infinity,
});

/** The names of a catalog, each once. */
export function useNames(kind: CatalogKind): string[] {
  const { data } = useCatalog(kind);
  const entries = ((data as Record<string, unknown> | undefined)?.[kind] ?? []) as { name: string }[];
  return [...new Set(entries.map(({ name }) => name))];
}
