import { MantineProvider } from '@mantine/core';
import { QueryClientProvider, useSuspenseQuery } from '@tanstack/react-query';
import { Suspense, use } from 'react';
import { createBrowserRouter, Navigate, Outlet, RouterProvider } from 'react-router';

import { configurationQuery, templatesQuery } from '@/api/queries';
import { token } from '@/api/token';
import { onLanguage } from '@/i18n/start';
import { JobProvider } from '@/job/JobContext';
import { firstText, startingJob } from '@/job/first';
import { cssVariables, theme } from '@/theme/theme';
import { Loading } from '@/ui/Loading';

import { ErrorBoundary, RouteError } from './ErrorBoundary';
import { NotFound } from './NotFound';
import { PAGES } from './pages';
import { queries } from './queries';
import { Shell } from './Shell';
import { TokenForm } from './TokenForm';

onLanguage(() => void queries.invalidateQueries()); // the server's sentences are in the language of the page

const router = createBrowserRouter([
  {
    element: <Started />,
    errorElement: <RouteError />,
    children: [
      { index: true, element: <Navigate to="/plan" replace /> },
      ...PAGES.flatMap(({ path, more, also = {}, Component }) => {
        const route = { element: <Component />, errorElement: <RouteError /> };
        const others = Object.entries(also).map(([from, to]) => ({
          path: from,
          element: <Navigate to={to} replace />,
        }));
        return [{ path, ...route }, ...(more == null ? [] : [{ path: path + more, ...route }]), ...others];
      }),
      { path: '*', element: <NotFound /> },
    ],
  },
]);

export function App() {
  return (
    <MantineProvider theme={theme} cssVariablesResolver={cssVariables} defaultColorScheme="auto">
      <QueryClientProvider client={queries}>
        <ErrorBoundary>
          <Suspense fallback={<Loading isWhole />}>
            <RouterProvider router={router} />
          </Suspense>
        </ErrorBoundary>
      </QueryClientProvider>
    </MantineProvider>
  );
}

/** The shell, once it is known whether a token is needed. */
function Started() {
  const { data: configuration } = useSuspenseQuery(configurationQuery);
  if (configuration.is_token_needed && token() === '') return <TokenForm />;
  return <WithJob />;
}

function WithJob() {
  const { data } = useSuspenseQuery(templatesQuery);
  const first = use(startedWith(firstText(data)));
  return (
    <JobProvider first={first}>
      <Shell>
        <Suspense fallback={<Loading />}>
          <Outlet />
        </Suspense>
      </Shell>
    </JobProvider>
  );
}

let started: Promise<string> | null = null;

/** Read once, when the page is opened. */
function startedWith(first: string): Promise<string> {
  started ??= startingJob(first);
  return started;
}
