import type { Schemas } from '@/api/client';

export type Gpu = Schemas['GpuPlace'];
export type Node = Schemas['NodePlace'];

export const AXES = ['pp', 'dp', 'tp', 'cp', 'ep'] as const;
export type Axis = (typeof AXES)[number];
/** The axes that make the grid; ep divides among the others. */
const GRID = ['pp', 'dp', 'tp', 'cp'] as const;

/** "0.3": the node group, and the node in it. */
export function nodeName(node: Node): string {
  return `${String(node.node_group)}.${String(node.node)}`;
}

/** The axes that split anything; pp where none does. */
export function splitAxes(plan: Schemas['Plan']): readonly Axis[] {
  const split = AXES.filter((axis) => plan[axis] > 1);
  return split.length === 0 ? ['pp'] : split;
}

/** "p1 d0 t3": the place of a rank along some axes. */
export function coordinate(gpu: Gpu, axes: readonly Axis[]): string {
  return axes
    .filter((axis) => gpu[axis] != null)
    .map((axis) => `${axis.charAt(0)}${String(gpu[axis])}`)
    .join(' ');
}

/** The axis of the group that two ranks are in: they differ in nothing else. Null: they share none. */
export function groupOf(one: Gpu, other: Gpu): (typeof GRID)[number] | null {
  if (one.rank == null || other.rank == null || one.rank === other.rank) return null;
  const differing = GRID.filter((axis) => one[axis] !== other[axis]);
  return differing.length === 1 ? (differing[0] ?? null) : null;
}

/** How strong the colour of a GPU is, by its index among those that are there; an idle one has none. */
export function strength(gpu: Gpu, axis: Axis, all: readonly Gpu[]): number | null {
  const index = gpu[axis];
  if (index == null) return null;
  const indices = [...new Set(all.flatMap((each) => each[axis] ?? []))].sort((one, other) => one - other);
  return indices.length < 2 ? 0.35 : 0.12 + (0.58 * indices.indexOf(index)) / (indices.length - 1);
}
