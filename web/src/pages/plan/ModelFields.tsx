import { SegmentedControl } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { NameField } from '@/job/fields/NameField';
import { TextField } from '@/job/fields/TextField';
import { useJob } from '@/job/JobContext';

import { Group } from './FormLayout';

type Kind = 'name' | 'size' | 'shape';
const KINDS: readonly Kind[] = ['name', 'size', 'shape'];
const SHAPE = ['num_layers', 'hidden_size', 'ffn_size', 'num_heads', 'num_kv_heads', 'vocab_size'];
/** What each kind begins with when it is chosen. */
const FIRST: Record<Kind, unknown> = {
  name: 'llama-3.1-8b',
  size: { parameters: '13B' },
  shape: { num_layers: 32, hidden_size: 4096, ffn_size: 14336, num_heads: 32, num_kv_heads: 8, vocab_size: 128256 },
};

/** A model of the catalog, one of a size, or a shape of one's own. */
export function ModelFields() {
  const { t } = useTranslation('plan');
  const { job, setValue } = useJob();
  const kind = kindOf(job['model']);
  return (
    <>
      <SegmentedControl
        fullWidth
        my={4}
        aria-label={t('model.kind')}
        value={kind}
        data={KINDS.map((value) => ({ value, label: t(`model.${value}`) }))}
        onChange={(value) => {
          setValue(['model'], FIRST[value]);
        }}
      />
      {kind === 'name' && <NameField path={['model']} kind="models" />}
      {kind === 'size' && <TextField path={['model', 'parameters']} />}
      {kind === 'shape' && (
        <Group columns={3}>
          {SHAPE.map((key) => (
            <TextField key={key} path={['model', key]} />
          ))}
        </Group>
      )}
    </>
  );
}

function kindOf(model: unknown): Kind {
  if (typeof model !== 'object' || model == null) return 'name';
  return 'parameters' in model ? 'size' : 'shape';
}
