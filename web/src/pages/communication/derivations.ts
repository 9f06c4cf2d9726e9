/** How sums and links of a prediction come about, from the numbers that stand beside them. */
import type { Schemas } from '@/api/client';
import type { Derivation } from '@/ui/Quantity';

type Group = Schemas['CommunicationGroup'];
type GroupField = 'exposed_seconds' | 'overlapped_seconds' | 'zone_bytes';
type TermField = 'exposed_seconds' | 'overlapped_seconds';

/** A sum over the kinds of group that have any of it. */
export function ofGroups(groups: readonly Group[], field: GroupField): Derivation {
  const some = groups.filter((each) => each[field] > 0);
  return {
    formula: sum(some.map(({ group }) => group)),
    inputs: some.map((each) => ({ name: `${each.group}_${field}`, value: each[field] })),
  };
}

/** A sum over terms of the step. */
export function ofTerms(
  terms: readonly Schemas['Term'][],
  name: string,
  field: TermField = 'exposed_seconds',
): Derivation {
  const some = terms.filter((each) => each[field] > 0);
  return {
    formula: `${name} = ${sum(some.map((each) => each.name))}`,
    inputs: some.map((each) => ({ name: `${each.name}_seconds`, value: each[field] })),
  };
}

/** How long what crosses a link takes it. */
export function ofLink(
  link: Schemas['Link'],
  result: 'raw_seconds' | 'utilization_fraction',
  step: number,
): Derivation {
  const own = [
    { name: 'step_bytes', value: link.step_bytes },
    { name: 'bytes_per_second', value: link.bytes_per_second },
  ];
  if (result === 'raw_seconds') return { formula: 'step_bytes / bytes_per_second + latency_seconds', inputs: own };
  return {
    formula: 'step_bytes / bytes_per_second / step_seconds',
    inputs: [...own, { name: 'step_seconds', value: step }],
  };
}

function sum(names: readonly string[]): string {
  return names.length === 0 ? '0' : names.join(' + ');
}
