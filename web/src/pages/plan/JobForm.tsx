import { Switch } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { ChoiceField } from '@/job/fields/ChoiceField';
import { TextField } from '@/job/fields/TextField';
import { useJob } from '@/job/JobContext';
import { valueAt } from '@/job/path';

import { Group, Section } from './FormLayout';
import { ModelFields } from './ModelFields';
import { LinkFields } from './LinkFields';
import { ZoneFields } from './ZoneFields';

const DEGREES = ['tp', 'pp', 'cp', 'ep', 'dp', 'microbatch_size'];
const TECHNIQUES = ['schedule', 'shard', 'recompute', 'offload'];
const CONSENTS = ['local_sgd', 'compression', 'async', 'batch_change'];

/** The keys of a job file that most jobs need; the rest is in its YAML, and stays there. */
export function JobForm() {
  const { t } = useTranslation('plan');
  return (
    <>
      <Section title={t('form.model')}>
        <ModelFields />
      </Section>
      <Section title={t('form.workload')}>
        <Group columns={3}>
          {['sequence_length', 'global_batch_size', 'train_tokens'].map((key) => (
            <TextField key={key} path={['workload', key]} />
          ))}
          <ChoiceField path={['workload', 'precision']} definition="Workload" />
          <ChoiceField path={['workload', 'optimizer']} definition="Workload" />
          <ChoiceField path={['workload', 'attention']} definition="Workload" />
        </Group>
      </Section>
      <Section title={t('form.zones')}>
        <ZoneFields />
      </Section>
      <Section title={t('form.links')}>
        <LinkFields />
      </Section>
      <Section title={t('form.plan')} note={t('form.planNote')}>
        <Group columns={3}>
          {DEGREES.map((key) => (
            <TextField key={key} path={['plan', key]} placeholder={t('form.searched')} />
          ))}
        </Group>
        <Group columns={2}>
          {TECHNIQUES.map((key) => (
            <ChoiceField key={key} path={['plan', key]} definition="Plan" placeholder={t('form.searched')} />
          ))}
          <ChoiceField path={['plan', 'sync', 'method']} definition="Sync" placeholder={t('form.searched')} />
          <TextField path={['framework', 'name']} name="framework" placeholder={t('form.searched')} />
        </Group>
      </Section>
      <Section title={t('form.goal')}>
        <Group columns={2}>
          <ChoiceField path={['objective', 'minimize']} definition="Objective" />
          <TextField path={['objective', 'budget']} placeholder={t('form.none')} />
          <TextField path={['objective', 'deadline']} placeholder={t('form.none')} />
          <TextField path={['constraints', 'max_egress']} placeholder={t('form.none')} />
        </Group>
        <Consents />
      </Section>
    </>
  );
}

/** What changes the optimizer's mathematics is done only where a person says so. */
function Consents() {
  const { t } = useTranslation('plan');
  const { job, setValue } = useJob();
  const allowed = (valueAt(job, ['constraints', 'allow']) ?? []) as string[];
  return (
    <Group columns={2}>
      {CONSENTS.map((name) => (
        <Switch
          key={name}
          size="xs"
          label={t(`allow.${name}`)}
          checked={allowed.includes(name)}
          onChange={(event) => {
            const others = allowed.filter((each) => each !== name);
            const next = event.currentTarget.checked ? [...others, name] : others;
            setValue(['constraints', 'allow'], next.length === 0 ? undefined : next);
          }}
        />
      ))}
    </Group>
  );
}
