import type { Schemas } from '@/api/client';

/** The axes along which a plan splits its ranks. */
export const AXES = ['tp', 'cp', 'pp', 'dp', 'ep'] as const;

/** "tp 2 · cp 4 · pp 8 · dp 2": the axes that split anything. */
export function degrees(plan: Schemas['Plan']): string {
  const split = AXES.filter((axis) => plan[axis] > 1);
  return split.length === 0 ? 'dp 1' : split.map((axis) => `${axis} ${String(plan[axis])}`).join(' · ');
}
