import { useLive } from '@/api/live';

import { ConfirmStart } from './ConfirmStart';

interface Props {
  title: string;
  why: string;
  /** What was asked for before, examined anew for what it costs now; undefined: not known yet. */
  request: Record<string, unknown> | undefined;
  submit: string;
  isBusy: boolean;
  problem: Error | null;
  onSure: () => void;
  onClose: () => void;
}

/** Ask before the same is made again; where it costs money now, its name must be typed. */
export function RunAgain({ request, isBusy, problem, ...props }: Props) {
  const examined = useLive('training-tasks/examine', request ?? null);
  const found = examined.data?.task;
  return (
    <ConfirmStart
      {...props}
      name={found?.request.name ?? ''}
      launchMode={found?.request.launch_mode ?? ''}
      costs={found?.costs}
      problem={problem ?? examined.problem}
      isBusy={isBusy || (examined.data == null && problem == null && examined.problem == null)}
    />
  );
}
