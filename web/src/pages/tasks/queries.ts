import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query';

import { answer, api, type Schemas } from '@/api/client';

export type Task = Schemas['Task'];
const FINAL_STATES: readonly string[] = ['succeeded', 'failed', 'stopped'];

export function hasEnded({ state }: Task): boolean {
  return FINAL_STATES.includes(state);
}

/** Every how many milliseconds what is told of a task is asked again: of one that is over, never. */
export function untilOver(task: Task, seconds = 5): number | false {
  return hasEnded(task) ? false : 1000 * seconds;
}

export interface TaskNarrowing {
  state: string;
  launch_mode: string;
  text: string;
}

const NUM_AT_ONCE = 50;

/** Page after page, each from where the one before it ends. */
export const tasksQuery = ({ state, launch_mode, text }: TaskNarrowing) =>
  infiniteQueryOptions({
    queryKey: ['tasks', 'list', state, launch_mode, text],
    queryFn: ({ pageParam: cursor }) => {
      const query = { text, limit: NUM_AT_ONCE, cursor, state: list(state), launch_mode: list(launch_mode) };
      return answer(api.GET('/api/v1/training-tasks', { params: { query } }));
    },
    initialPageParam: null as string | null,
    getNextPageParam: ({ cursor }) => cursor,
    select: ({ pages }) => pages.flatMap(({ tasks }) => tasks),
    placeholderData: keepPreviousData,
    refetchInterval: 5000,
  });

const of = (task_id: string) => ({ params: { path: { task_id } } });

/** What is asked of one task; all of it is asked again when something happens to the task. */
export const taskQueries = {
  task: (id: string) =>
    queryOptions({
      queryKey: ['tasks', id, 'task'],
      queryFn: () => answer(api.GET('/api/v1/training-tasks/{task_id}', of(id))),
    }),
  transitions: (id: string) =>
    queryOptions({
      queryKey: ['tasks', id, 'transitions'],
      queryFn: () => answer(api.GET('/api/v1/training-tasks/{task_id}/transitions', of(id))),
    }),
  attempts: (id: string) =>
    queryOptions({
      queryKey: ['tasks', id, 'attempts'],
      queryFn: () => answer(api.GET('/api/v1/training-tasks/{task_id}/attempts', of(id))),
    }),
  progress: (id: string) =>
    queryOptions({
      queryKey: ['tasks', id, 'progress'],
      queryFn: () => answer(api.GET('/api/v1/training-tasks/{task_id}/progress', of(id))),
    }),
  faults: (id: string) =>
    queryOptions({
      queryKey: ['tasks', id, 'faults'],
      queryFn: () => answer(api.GET('/api/v1/training-tasks/{task_id}/faults', of(id))),
    }),
  checkpoints: (id: string) =>
    queryOptions({
      queryKey: ['tasks', id, 'checkpoints'],
      queryFn: () => answer(api.GET('/api/v1/training-tasks/{task_id}/checkpoints', of(id))),
    }),
  links: (id: string, attempt: number) =>
    queryOptions({
      queryKey: ['tasks', id, 'links', attempt],
      queryFn: () =>
        answer(
          api.GET('/api/v1/training-tasks/{task_id}/links', {
            params: { path: { task_id: id }, query: { attempt } },
          }),
        ),
    }),
  samples: (id: string, attempt: number, name: string) =>
    queryOptions({
      queryKey: ['tasks', id, 'samples', attempt, name],
      queryFn: () =>
        answer(
          api.GET('/api/v1/training-tasks/{task_id}/samples', {
            params: { path: { task_id: id }, query: { name, attempt } },
          }),
        ),
    }),
};

function list(value: string): string[] {
  return value === '' ? [] : [value];
}
