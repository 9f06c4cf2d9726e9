import { useMutation } from '@tanstack/react-query';

import { answer, api } from '@/api/client';
import { save } from '@/api/save';
import { useJob } from '@/job/JobContext';
import type { Job } from '@/job/path';

/** Which some file system has no place for in a name. */
const UNSAFE = /[^\p{L}\p{N}._-]+/gu;

/** Saves what is known of the chosen plan as one file that opens without a server. */
export function useReport() {
  const { text, job, chosenPlan } = useJob();
  return useMutation({
    mutationFn: async () => {
      const body = { job: text, chosen: chosenPlan + 1 };
      save((await answer(api.POST('/api/v1/report', { body, parseAs: 'blob' }))) as Blob, fileName(job));
    },
  });
}

/** With what is trained, where the job calls it by a name. */
function fileName({ model }: Job): string {
  const name = typeof model === 'string' ? model.replace(UNSAFE, '-') : '';
  return `${['crosszone-report', name].filter((part) => part !== '').join('-')}.html`;
}
