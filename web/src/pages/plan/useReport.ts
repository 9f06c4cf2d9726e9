import { useMutation } from '@tanstack/react-query';

import { answer, api } from '@/api/client';
import { save } from '@/api/save';
import { useJob } from '@/job/JobContext';

const FILE_NAME = 'crosszone-report.html';

/** Saves what is known of the chosen plan as one file that opens without a server. */
export function useReport() {
  const { text, chosenPlan } = useJob();
  return useMutation({
    mutationFn: async () => {
      const body = { job: text, chosen: chosenPlan + 1 };
      save((await answer(api.POST('/api/v1/report', { body, parseAs: 'blob' }))) as Blob, FILE_NAME);
    },
  });
}
