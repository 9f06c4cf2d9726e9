import type { components } from './schema';

type Details = components['schemas']['ProblemDetails'];
const OFFLINE = 'offline' as Details['type']; // told by no server
export type ProblemError = Details['errors'][number];

/** What went wrong with a request: the server's problem+json (all errors at once), or no answer at all. */
export class Problem extends Error {
  /** 0 where there was no answer. */
  readonly status: number;
  /** After `urn:crosszone:problem:`, as "invalid", "infeasible"; "offline" where there was no answer. */
  readonly kind: string;
  readonly errors: readonly ProblemError[];
  readonly requestId: string;

  constructor(status: number, details: Partial<Details>) {
    super(details.detail ?? details.title ?? '');
    this.name = 'Problem';
    this.status = status;
    this.kind = (details.type ?? '').replace('urn:crosszone:problem:', '') || 'unknown';
    this.errors = details.errors ?? [];
    this.requestId = (details.instance ?? '').replace('urn:crosszone:request:', '');
  }

  /** Whether the same request may be answered later: it is not the request that is wrong. */
  get isPassing(): boolean {
    return this.kind === 'offline' || this.status === 503;
  }
}

export function offline(cause: unknown): Problem {
  return new Problem(0, { type: OFFLINE, detail: cause instanceof Error ? cause.message : '' });
}

/** The problem in an answer that is no success, whatever it holds. */
export function problemOf(status: number, body: unknown): Problem {
  return new Problem(status, typeof body === 'object' && body != null ? (body as Partial<Details>) : {});
}
