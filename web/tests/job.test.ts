import { describe, expect, it } from 'vitest';

import { placeOf, valueAt, withValue } from '@/job/path';
import { jobFromHash, jobToHash } from '@/job/share';

const JOB = { model: 'm', cluster: { zones: [{ name: 'a' }, { name: 'b' }] } };

describe('a value of a job', () => {
  it('is set without a change of the job before', () => {
    const changed = withValue(JOB, ['cluster', 'zones', 1, 'name'], 'c');
    expect(valueAt(changed, ['cluster', 'zones', 1, 'name'])).toBe('c');
    expect(valueAt(JOB, ['cluster', 'zones', 1, 'name'])).toBe('b');
  });

  it('keeps its place among its neighbours', () => {
    expect(Object.keys(withValue(JOB, ['model'], 'n') as object)).toEqual(['model', 'cluster']);
  });

  it('makes what is on its way', () => {
    expect(withValue({}, ['plan', 'sync', 'method'], 'flat')).toEqual({ plan: { sync: { method: 'flat' } } });
  });

  it('is taken away by undefined, from a list, too', () => {
    expect(withValue(JOB, ['model'], undefined)).toEqual({ cluster: JOB.cluster });
    expect(withValue(JOB, ['cluster', 'zones', 0], undefined)).toEqual({
      model: 'm',
      cluster: { zones: [{ name: 'b' }] },
    });
  });

  it('is called as the server calls it', () => {
    expect(placeOf(['cluster', 'zones', 1, 'nodes', 0, 'gpu'])).toBe('cluster.zones[1].nodes[0].gpu');
  });
});

describe('a job in an address', () => {
  it('comes back as it went', async () => {
    const text = 'model: llama-3-8b # 北京\n'.repeat(50);
    const hash = await jobToHash(text);
    expect(hash.length).toBeLessThan(text.length);
    expect(hash).toMatch(/^#job=[\w-]+$/);
    expect(await jobFromHash(hash)).toBe(text);
  });

  it('is none where the address is broken', async () => {
    expect(await jobFromHash('#job=!!!')).toBeNull();
    expect(await jobFromHash('')).toBeNull();
  });
});
