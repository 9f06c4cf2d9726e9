/** The job that a visit begins with. */
import type { Schemas } from '@/api/client';

import { jobFromHash } from './share';

const FIRST_TEMPLATE = 'very-large'; // the one with two zones

/** Where `JobContext` keeps the last job of this browser. */
export const STORED_AT = 'crosszone.job';

/** The job of the address, else the last one of this browser, else `first`. */
export async function startingJob(first: string): Promise<string> {
  return (await jobFromHash(location.hash)) ?? localStorage.getItem(STORED_AT) ?? first;
}

/** The text of the example that a first visit is shown. */
export function firstText({ templates }: Schemas['Templates']): string {
  return (templates.find(({ name }) => name === FIRST_TEMPLATE) ?? templates[0])?.text ?? '';
}
