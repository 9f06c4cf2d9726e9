import { infiniteQueryOptions, keepPreviousData } from '@tanstack/react-query';

import { answer, api } from '@/api/client';

/** What every list of kept plans and runs is known by. */
export const RUN_LIST = ['runs', 'list'];

/** Kept plans and runs whose names have all words of a text, the newest first, older ones on demand. */
export function savedQuery(text: string) {
  return infiniteQueryOptions({
    queryKey: [...RUN_LIST, text],
    queryFn: ({ pageParam }) => {
      const query = { text, ...(pageParam == null ? {} : { cursor: pageParam }) };
      return answer(api.GET('/api/v1/runs', { params: { query } }));
    },
    initialPageParam: null as string | null,
    getNextPageParam: ({ cursor }) => cursor,
    select: ({ pages }) => pages.flatMap(({ runs }) => runs),
    placeholderData: keepPreviousData,
  });
}
