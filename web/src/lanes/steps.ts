import type { Schemas } from '@/api/client';

import type { Detail } from './scene';

/** A step to draw. */
export interface DrawnStep {
  detail: Detail;
  /** What was played; null: it was measured. */
  simulation: Schemas['Simulation'] | null;
}

/** A step as it was played, and below that as it was measured, where there are such. */
export function drawnSteps(
  simulation: Schemas['Simulation'] | null,
  measured: Schemas['MeasuredTimeline'] | null | undefined,
): DrawnStep[] {
  const played = simulation?.detail == null ? [] : [{ simulation, detail: simulation.detail }];
  return measured == null ? played : [...played, { simulation: null, detail: measured.detail }];
}
