import { Anchor } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';

import { answer, api, type Schemas } from '@/api/client';
import { pageAt } from '@/app/pages';
import { useLanguage } from '@/i18n/useLanguage';
import { jobToHash } from '@/job/share';

const PATHS = ['/plan', '/timeline'];

/** To the pages of a job, with the job of this task in their addresses: what they show then is of the task. */
export function JobLinks({ job }: { job: object }) {
  const language = useLanguage();
  const { data: hash } = useQuery({
    queryKey: ['job', 'hash', job],
    queryFn: async () =>
      jobToHash((await answer(api.POST('/api/v1/job', { body: { job: job as Schemas['JobFile'] } }))).text),
    staleTime: Infinity,
  });
  return PATHS.map((path, index) => (
    <span key={path}>
      {index > 0 && ' · '}
      <Anchor inherit href={hash == null ? undefined : `${path}${hash}`}>
        {pageAt(path)?.title[language]}
      </Anchor>
    </span>
  ));
}
