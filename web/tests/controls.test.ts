import { describe, expect, it } from 'vitest';

import { settingsOf, withoutControl } from '@/pages/communication/controls';

describe('what is tried on the page of communication', () => {
  it('is shown by itself where no control has it', () => {
    const settings = settingsOf(['links[east,west].bandwidth=x2', 'links.*.bandwidth=x2', 'plan.shard=none']);
    expect(withoutControl(settings)).toEqual([['links[east,west].bandwidth', 'x2']]);
  });
});
