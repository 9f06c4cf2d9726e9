/** What is asked for, as the form holds it, and as the server takes it. */
import type { Environment } from '@/inventory/useEnvironments';

/** Ranks read made-up tokens where no data is named. */
export const SYNTHETIC = 'synthetic';

export const LAUNCH_MODES = ['existing', 'new', 'export', 'simulate'] as const;
export type LaunchMode = (typeof LAUNCH_MODES)[number];

/** Nodes of one kind in one zone that are not in the inventory. */
export interface NewZone {
  name: string;
  region: string;
  gpu: string;
  count: string;
  gpusPerNode: string;
  /** Of one GPU, as 2.1 USD/h; empty: it is not known. */
  price: string;
}

export interface Draft {
  taskName: string;
  /** "id@version" of the registry, or `SYNTHETIC`. */
  dataset: string;
  modelId: string;
  launchMode: LaunchMode;
  /** Whether the nodes are those of `zones`, and not of the inventory; files and predictions can be of either. */
  isNew: boolean;
  zones: readonly NewZone[];
  /** Between all zones of `zones`. */
  bandwidth: string;
  rtt: string;
  nodeIds: readonly string[];
  /** Chosen by hand; empty: the server takes the most stable one. */
  masterNode: string;
  framework: string;
  /** Degrees; empty: the best is searched. */
  tensorParallel: string;
  pipelineParallel: string;
  dataParallel: string;
  sequenceLength: string;
  batch: string;
  steps: string;
  checkpoints: string;
  checkpointEvery: string;
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
  isNew: false,
  zones: [newZone(1)],
  bandwidth: '10 Gbit/s',
  rtt: '30 ms',
  nodeIds: [],
  masterNode: '',
  framework: 'fsdp',
  tensorParallel: '',
  pipelineParallel: '',
  dataParallel: '',
  sequenceLength: '2048',
  batch: '',
  steps: '1000',
  checkpoints: '',
  checkpointEvery: '',
  backend: '',
  device: '',
  data: '',
  budget: '',
  priority: '',
};

/** A zone to begin with; the server's catalog knows the GPU. */
export function newZone(number: number): NewZone {
  return { name: `zone-${String(number)}`, region: '', gpu: 'h100-sxm5-80gb', count: '1', gpusPerNode: '8', price: '' };
}

/** How many nodes are meant; their ranks meet at the main one where they are several. */
export function isDistributed(draft: Draft): boolean {
  return draft.isNew
    ? draft.zones.length > 1 || draft.zones.some(({ count }) => count !== '1')
    : draft.nodeIds.length > 1;
}

/** The body of `POST /training-tasks`: what is empty is not said. */
export function requestOf(draft: Draft): Record<string, unknown> {
  const [datasetId = '', version = ''] = draft.dataset.split('@');
  return said({
    taskName: draft.taskName,
    datasetId,
    datasetVersionId: version === '' ? datasetId && '1' : version,
    modelId: draft.modelId,
    launchMode: draft.launchMode,
    distributedConfig: said({
      enabled: isDistributed(draft),
      ...(draft.isNew ? newNodesOf(draft) : chosenNodesOf(draft)),
      framework: draft.framework,
      strategy: strategyOf(draft),
    }),
    workload: said({
      sequence_length: valueOf(draft.sequenceLength),
      global_batch_size: valueOf(draft.batch),
      checkpoint: draft.checkpointEvery === '' ? '' : { every: draft.checkpointEvery },
    }),
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

/** Degrees that were said; empty: all are searched. */
function strategyOf(draft: Draft): Record<string, unknown> | '' {
  const degrees = said({
    tensorParallel: valueOf(draft.tensorParallel),
    pipelineParallel: valueOf(draft.pipelineParallel),
    dataParallel: valueOf(draft.dataParallel),
  });
  return Object.keys(degrees).length === 0 ? '' : degrees;
}

function chosenNodesOf(draft: Draft): Record<string, unknown> {
  return { nodeIds: draft.nodeIds, masterNode: draft.nodeIds.length < 2 ? '' : draft.masterNode };
}

function newNodesOf(draft: Draft): Record<string, unknown> {
  const zones = draft.zones.map(({ name, region, gpu, count, gpusPerNode, price }) => {
    const node = {
      gpu,
      count: valueOf(count),
      gpus_per_node: valueOf(gpusPerNode),
      ...(price === '' ? {} : { price }),
    };
    return { name, ...(region === '' ? {} : { region }), nodes: [node] };
  });
  return draft.zones.length < 2 ? { zones } : { zones, defaultLink: { bandwidth: draft.bandwidth, rtt: draft.rtt } };
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
  zones: ['distributedConfig.zones', 'distributedConfig.links'],
  bandwidth: ['distributedConfig.defaultLink.bandwidth', 'distributedConfig.defaultLink'],
  rtt: ['distributedConfig.defaultLink.rtt'],
  masterNode: ['distributedConfig.masterNode'],
  framework: ['distributedConfig.framework'],
  tensorParallel: ['distributedConfig.strategy.tensorParallel'],
  pipelineParallel: ['distributedConfig.strategy.pipelineParallel'],
  dataParallel: ['distributedConfig.strategy.dataParallel'],
  sequenceLength: ['workload.sequence_length'],
  batch: ['workload.global_batch_size'],
  steps: ['deployment.steps'],
  checkpoints: ['deployment.checkpoints'],
  checkpointEvery: ['workload.checkpoint.every', 'workload.checkpoint'],
  data: ['deployment.data'],
  backend: ['deployment.backend'],
  device: ['deployment.device'],
  budget: ['budget'],
  priority: ['priority'],
} as const;
export type Field = keyof typeof PLACES;

/** What a part of the form is given. */
export interface FieldsProps {
  draft: Draft;
  errorOf: (field: Field) => string | null;
  set: (changed: Partial<Draft>) => void;
}

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
