import { liveQuery } from '@/api/live';
import { configurationQuery, templatesQuery } from '@/api/queries';
import { token } from '@/api/token';
import { firstText, startingJob } from '@/job/first';
import { planQuestion } from '@/job/useAnswer';

import type { Page } from './pages';
import { queries } from './queries';

/**
 * Ask for what the first page shows before there is a page: it finds the answers, or joins the questions. What fails here
 * is asked again, and told of, by what needs it.
 */
export async function askAhead(page: Page | undefined): Promise<void> {
  const configuration = await queries.fetchQuery(configurationQuery);
  if (configuration.is_token_needed && token() === '') return;
  const text = await startingJob(firstText(await queries.fetchQuery(templatesQuery)));
  const { job, errors } = await queries.fetchQuery(liveQuery('job', { job: text }));
  if (page?.looksAtPlan && errors.length === 0) await queries.prefetchQuery(liveQuery('plan', planQuestion(job)));
}
