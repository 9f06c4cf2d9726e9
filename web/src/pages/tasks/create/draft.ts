/** What is asked for, as the form holds it, and as the server takes it. */
import type { Environment } from '@/inventory/useEnvironments';

/** Ranks read made-up tokens where no data is named. */
export const SYNTHETIC = 'synthetic';

export const LAUNCH_MODES = ['existing', 'export', 'simulate'] as const;
export type LaunchMode = (typeof LAUNCH_MODES)[number];

export interface Draft {
  taskName: string;
  /** "id@version" of the registry, or `SYNTHETIC`. */
  dataset: string;
  modelId: string;
  launchMode: LaunchMode;
  nodeIds: readonly string[];
  /** Chosen by hand; empty: the server takes the most stable one. */
  masterNode: string;
  framework: string;
  sequenceLength: string;
  batch: string;
  steps: string;
  checkpoints: string;
  backend: string;
  device: string;
  data: string;
  budget: string;
  priority: string;
}

export const FIRST_DRAFT: Draft = {
  taskName: 'llama-3-8b-pretraining',
  dataset: SYNTHETIC,
  modelId: 'llama-3-8b',
  launchMode: 'existing',
  nodeIds: [],
  masterNode: '',
  framework: 'fsdp',
  sequenceLength: '2048',
  batch: '',
  steps: '1000',
  checkpoints: '',
  backend: '',
  device: '',
  data: '',
  budget: '',
  priority: '',
};

/** The body of `POST /training-tasks`: what is empty is not said. */
export function requestOf(draft: Draft): Record<string, unknown> {
  const [datasetId = '', version = ''] = draft.dataset.split('@');
  const isOne = draft.nodeIds.length < 2;
  return said({
    taskName: draft.taskName,
    datasetId,
    datasetVersionId: version === '' ? datasetId && '1' : version,
    modelId: draft.modelId,
    launchMode: draft.launchMode,
    distributedConfig: said({
      enabled: !isOne,
      nodeIds: draft.nodeIds,
      masterNode: isOne ? '' : draft.masterNode,
      framework: draft.framework,
    }),
    workload: said({ sequence_length: valueOf(draft.sequenceLength), global_batch_size: valueOf(draft.batch) }),
    deployment: said({
      steps: valueOf(draft.steps),
      checkpoints: draft.checkpoints,
      data: draft.data,
      backend: draft.backend,
      device: draft.device,
    }),
    budget: draft.budget,
    priority: valueOf(draft.priority),
  });
}

/** Choose one more environment or one less. Who is not chosen any more is not the main node either. */
export function withNodes(draft: Draft, nodeIds: readonly string[]): Draft {
  return { ...draft, nodeIds, masterNode: nodeIds.includes(draft.masterNode) ? draft.masterNode : '' };
}

/** All from the last one that was clicked to this one, as they stand on the screen. */
export function between(shown: readonly Environment[], first: string, last: string): string[] {
  const ids = shown.map(({ id }) => id);
  const [start, end] = [ids.indexOf(first), ids.indexOf(last)].sort((one, other) => one - other);
  return start == null || end == null || start < 0 ? [last] : ids.slice(start, end + 1);
}

/** Where a field of the form stands in the request; its errors are told there. */
export const PLACES = {
  taskName: ['taskName'],
  dataset: ['datasetId', 'datasetVersionId'],
  modelId: ['modelId', 'model'],
  nodeIds: ['distributedConfig.nodeIds'],
  masterNode: ['distributedConfig.masterNode'],
  framework: ['distributedConfig.framework'],
  sequenceLength: ['workload.sequence_length'],
  batch: ['workload.global_batch_size'],
  steps: ['deployment.steps'],
  checkpoints: ['deployment.checkpoints'],
  data: ['deployment.data'],
  backend: ['deployment.backend'],
  device: ['deployment.device'],
  budget: ['budget'],
  priority: ['priority'],
} as const;
export type Field = keyof typeof PLACES;

/** The field that a place in the request is of; undefined: of none that is on the screen. */
export function fieldAt(where: string): Field | undefined {
  const fields = Object.keys(PLACES) as Field[];
  return fields.find((field) => PLACES[field].some((place) => where === place || where.startsWith(`${place}[`)));
}

function said(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).filter(([key, value]) => value !== '' || key === 'taskName' || key.startsWith('dataset')),
  );
}

/** Whole numbers are numbers; the server says what is wrong with the rest. */
function valueOf(text: string): string | number {
  return /^-?\d{1,15}$/.test(text) ? Number(text) : text;
}
