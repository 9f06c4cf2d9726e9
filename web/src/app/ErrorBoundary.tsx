import { Component, type ReactNode } from 'react';
import { useRouteError } from 'react-router';

import { ProblemPanel } from '@/ui/ProblemPanel';

interface State {
  error: Error | null;
}

/** Shows what went wrong in place of what it surrounds. */
export class ErrorBoundary extends Component<{ children: ReactNode }, State> {
  override state: State = { error: null };

  static getDerivedStateFromError(error: unknown): State {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  override render(): ReactNode {
    const { error } = this.state;
    if (error == null) return this.props.children;
    return (
      <ProblemPanel
        problem={error}
        onRetry={() => {
          this.setState({ error: null });
        }}
      />
    );
  }
}

/** The same for a route, which the router surrounds. */
export function RouteError() {
  const error = useRouteError();
  return (
    <ProblemPanel
      problem={error instanceof Error ? error : new Error(String(error))}
      onRetry={() => {
        location.reload(); // a file of an older build may be gone
      }}
    />
  );
}
