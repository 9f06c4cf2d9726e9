import { describe, expect, it } from 'vitest';

import { formatSpan } from '@/format';
import { between, fieldAt, FIRST_DRAFT, requestOf, withNodes } from '@/pages/tasks/create/draft';

describe('a draft of a task', () => {
  it('says only what was written, numbers as numbers', () => {
    const request = requestOf({ ...FIRST_DRAFT, nodeIds: ['a', 'b'], batch: '64', steps: '', budget: '5 USD' });
    expect(request['workload']).toEqual({ sequence_length: 2048, global_batch_size: 64 });
    expect(request['distributedConfig']).toEqual({ enabled: true, nodeIds: ['a', 'b'], framework: 'fsdp' });
    expect(request['deployment']).toEqual({});
    expect(request['budget']).toBe('5 USD');
  });

  it('names the version of a data set', () => {
    const request = requestOf({ ...FIRST_DRAFT, dataset: 'wiki@v2' });
    expect([request['datasetId'], request['datasetVersionId']]).toEqual(['wiki', 'v2']);
    expect(requestOf({ ...FIRST_DRAFT, dataset: '' })['datasetVersionId']).toBe('');
  });

  it('has no main node that is not chosen', () => {
    const draft = withNodes({ ...FIRST_DRAFT, nodeIds: ['a', 'b'], masterNode: 'b' }, ['a']);
    expect(draft.masterNode).toBe('');
    expect(withNodes({ ...draft, masterNode: 'a' }, ['a', 'c']).masterNode).toBe('a');
  });

  it('takes all between two clicks, in either direction', () => {
    const shown = ['a', 'b', 'c', 'd'].map((id) => ({ id })) as never;
    expect(between(shown, 'b', 'd')).toEqual(['b', 'c', 'd']);
    expect(between(shown, 'd', 'b')).toEqual(['b', 'c', 'd']);
    expect(between(shown, 'gone', 'b')).toEqual(['b']);
  });

  it('finds the field of a place in the request', () => {
    expect(fieldAt('distributedConfig.nodeIds[1]')).toBe('nodeIds');
    expect(fieldAt('datasetVersionId')).toBe('dataset');
    expect(fieldAt('distributedConfig.strategy')).toBeUndefined();
  });
});

describe('a span of time', () => {
  it('has its two largest units', () => {
    expect(formatSpan(5 * 86_400 + 3 * 3600 + 59, 'en')).toBe('5 d 3 h');
    expect(formatSpan(5 * 86_400 + 3 * 3600 + 59, 'zh')).toBe('5天3小时');
    expect(formatSpan(12 * 3600 + 5, 'zh')).toBe('12小时');
    expect(formatSpan(0, 'en')).toBe('0 s');
    expect(formatSpan(null, 'zh')).toBe('未知');
  });
});
