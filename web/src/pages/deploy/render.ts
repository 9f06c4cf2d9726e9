import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';

import { answer, api, type Schemas } from '@/api/client';
import { problemOf } from '@/api/problem';
import { save } from '@/api/save';
import { token } from '@/api/token';
import { useJob } from '@/job/JobContext';

export type Bundle = Schemas['Bundle'];

/** What files are rendered with; empty: not said. */
export interface Options {
  framework: string;
  backend: string;
  steps: string;
  checkpoints: string;
  data: string;
}

export function said({ steps, checkpoints, data }: Options): { steps?: number; checkpoints?: string; data?: string } {
  return {
    ...(/^\d{1,9}$/.test(steps) ? { steps: Number(steps) } : {}),
    ...(checkpoints === '' ? {} : { checkpoints }),
    ...(data === '' ? {} : { data }),
  };
}

/** Renders the job, and keeps the render before beside it. */
export function useRender() {
  const { job } = useJob();
  const [before, setBefore] = useState<Bundle | null>(null);
  const [bundle, setBundle] = useState<Bundle | null>(null);
  const render = useMutation({
    mutationFn: (options: Options) => answer(api.POST('/api/v1/deploy', { body: bodyOf(job, options) })),
    onSuccess: (made) => {
      setBefore(bundle);
      setBundle(made as Bundle);
    },
  });
  return { bundle, before, render };
}

/** The same files as one archive, handed to the browser as a download. */
export async function download(path: string, name: string, body?: unknown): Promise<void> {
  const headers: Record<string, string> = { Accept: 'application/gzip' };
  if (token() !== '') headers['Authorization'] = `Bearer ${token()}`;
  const more = body == null ? {} : { method: 'POST', body: JSON.stringify(body) };
  if (body != null) headers['Content-Type'] = 'application/json';
  const response = await fetch(path, { headers, ...more });
  if (!response.ok) throw problemOf(response.status, await response.json().catch(() => null));
  save(await response.blob(), name);
}

export function bodyOf(job: unknown, options: Options) {
  return { job: job as Schemas['JobFile'], framework: options.framework, backend: options.backend, ...said(options) };
}
