/**
 * The job that all pages look at, in both forms: YAML text and its keys. A person changes one of them; the server makes
 * the other of it, and keeps the comments of the text. The address holds the job, so that it can be sent to others.
 */
import { createContext, use, useCallback, useEffect, useMemo, useState, type ReactNode } from 'react';
import { useLocation } from 'react-router';

import { useLive } from '@/api/live';
import type { Problem } from '@/api/problem';
import type { Schemas } from '@/api/client';

import { STORED_AT } from './first';
import { withValue, type Job, type Path } from './path';
import { jobToHash } from './share';

const SHARE_AFTER_MILLISECONDS = 400;

/** What was changed last, and what it was changed from. */
type Draft = { origin: 'text'; text: string } | { origin: 'keys'; job: Job; like: string };

export interface JobState {
  /** As YAML. */
  text: string;
  /** By its keys; empty until the text has been read. */
  job: Job;
  /** All that is wrong with its values; each names its place. */
  errors: Schemas['JobDocument']['errors'];
  /** Whether the present inputs are no job that could be planned. */
  isBroken: boolean;
  /** Why the text is no YAML. */
  problem: Problem | null;
  /** Whether one form is behind the other. */
  isSyncing: boolean;
  /** Whether it can only be looked at, as in a report: what would change it is not shown. */
  isFixed: boolean;
  setText: (text: string) => void;
  /** Set one value; undefined takes it away. */
  setValue: (path: Path, value: unknown) => void;
  /** Which of the ranked plans is looked at, from 0; the first again when the job changes. */
  chosenPlan: number;
  choosePlan: (index: number) => void;
}

export const JobContext = createContext<JobState | null>(null);

export function useJob(): JobState {
  const state = use(JobContext);
  if (state == null) throw new Error('useJob needs a JobProvider around it');
  return state;
}

export function JobProvider({ first, children }: { first: string; children: ReactNode }) {
  const [draft, setDraft] = useState<Draft>({ origin: 'text', text: first });
  const [chosenPlan, choosePlan] = useState(0);
  const asked =
    draft.origin === 'text' ? { job: draft.text } : { job: draft.job as Schemas['JobFile'], like: draft.like };
  const read = useLive('job', asked);
  const text = draft.origin === 'text' ? draft.text : (read.data?.text ?? draft.like);
  const job = draft.origin === 'keys' ? draft.job : ((read.data?.job ?? EMPTY) as Job);
  useKeptJob(text, read.isStale || read.data == null);

  const setText = useCallback((changed: string) => {
    setDraft({ origin: 'text', text: changed });
    choosePlan(0);
  }, []);
  const setValue = useCallback(
    (path: Path, value: unknown) => {
      choosePlan(0);
      setDraft((before) => ({
        origin: 'keys',
        job: withValue(before.origin === 'keys' ? before.job : job, path, value) as Job,
        like: before.origin === 'text' ? before.text : before.like,
      }));
    },
    [job],
  );
  const state = useMemo<JobState>(
    () => ({
      text,
      job,
      errors: read.data?.errors ?? [],
      isBroken: read.problem != null || (read.data?.errors.length ?? 0) > 0,
      problem: read.problem,
      isSyncing: read.isWaiting,
      isFixed: false,
      setText,
      setValue,
      chosenPlan,
      choosePlan,
    }),
    [text, job, read.data, read.problem, read.isWaiting, setText, setValue, chosenPlan],
  );
  return <JobContext value={state}>{children}</JobContext>;
}

const EMPTY: Job = {};

/** Keep the job in this browser and in the address, whose history it does not lengthen. */
function useKeptJob(text: string, isUnread: boolean): void {
  const { pathname } = useLocation(); // another page begins without a fragment
  useEffect(() => {
    if (isUnread) return undefined;
    const timer = setTimeout(() => {
      localStorage.setItem(STORED_AT, text);
      void jobToHash(text).then((hash) => {
        history.replaceState(history.state, '', hash);
      });
    }, SHARE_AFTER_MILLISECONDS);
    return () => {
      clearTimeout(timer);
    };
  }, [text, isUnread, pathname]);
}
