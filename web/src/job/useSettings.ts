import { useMutation } from '@tanstack/react-query';

import { answer, api } from '@/api/client';

import { useJob } from './JobContext';

/** Set values of the job as the engine proposes them, each "KEY=VALUE"; null takes a key away. */
export function useSettings() {
  const { text, setText } = useJob();
  return useMutation({
    mutationFn: (settings: readonly string[]) =>
      answer(api.POST('/api/v1/job', { body: { job: text, set: [...settings] } })),
    onSuccess: (changed) => {
      setText(changed.text);
    },
  });
}
