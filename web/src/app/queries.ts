/** All that was asked of the server, and how it is asked again. */
import { QueryClient } from '@tanstack/react-query';

import { Problem } from '@/api/problem';

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      refetchOnWindowFocus: false,
      retry: (count, error) => error instanceof Problem && error.isPassing && count < 5,
    },
  },
});
