import { Button, CloseButton } from '@mantine/core';
import { Plus } from 'lucide-react';
import { useTranslation } from 'react-i18next';

import { NameField } from '@/job/fields/NameField';
import { TextField } from '@/job/fields/TextField';
import { useJob } from '@/job/JobContext';
import { valueAt, type Path } from '@/job/path';

import { Group } from './FormLayout';
import classes from './FormLayout.module.css';

interface Zone {
  name?: unknown;
  nodes?: unknown[];
}

const ZONES: Path = ['cluster', 'zones'];
const FIRST_NODES = { count: 1, gpu: 'a100-sxm4-80gb', gpus_per_node: 8 };

/** The zones and their nodes, group by group. */
export function ZoneFields() {
  const { t } = useTranslation('plan');
  const { job, setValue } = useJob();
  const zones = listAt<Zone>(job, ZONES);
  const add = () => {
    const nodes = zones.at(-1)?.nodes ?? [FIRST_NODES];
    setValue([...ZONES, zones.length], { name: freeName(zones), nodes });
  };
  return (
    <>
      {zones.map((zone, index) => (
        <div key={index} className={classes.card}>
          <Group columns={2}>
            <TextField path={[...ZONES, index, 'name']} />
            <NameField path={[...ZONES, index, 'region']} kind="regions" placeholder={t('form.none')} />
          </Group>
          {(zone.nodes ?? []).map((_, group) => (
            <NodeGroup key={group} path={[...ZONES, index, 'nodes', group]} />
          ))}
          <div className={classes.actions}>
            <Button
              variant="subtle"
              size="compact-xs"
              onClick={() => {
                setValue([...ZONES, index, 'nodes', zone.nodes?.length ?? 0], zone.nodes?.at(-1) ?? FIRST_NODES);
              }}
            >
              {t('zones.addNodes')}
            </Button>
            {zones.length > 1 && (
              <Button
                variant="subtle"
                color="gray"
                size="compact-xs"
                onClick={() => {
                  setValue([...ZONES, index], undefined);
                }}
              >
                {t('zones.remove')}
              </Button>
            )}
          </div>
        </div>
      ))}
      <Button variant="default" fullWidth leftSection={<Plus size={14} />} onClick={add}>
        {t('zones.add')}
      </Button>
    </>
  );
}

/** Nodes of one kind. */
function NodeGroup({ path }: { path: Path }) {
  const { t } = useTranslation('plan');
  const { job, setValue } = useJob();
  const isOnly = listAt(job, path.slice(0, -1)).length === 1;
  return (
    <div className={classes.nodes}>
      <Group columns={2}>
        <NameField path={[...path, 'gpu']} kind="gpus" />
        <TextField path={[...path, 'network']} placeholder={t('form.standard')} />
      </Group>
      <Group columns={3}>
        <TextField path={[...path, 'count']} />
        <TextField path={[...path, 'gpus_per_node']} />
        <TextField path={[...path, 'price']} placeholder={t('form.catalog')} />
      </Group>
      {!isOnly && (
        <CloseButton
          size="xs"
          aria-label={t('zones.removeNodes')}
          onClick={() => {
            setValue(path, undefined);
          }}
        />
      )}
    </div>
  );
}

export function listAt<Item>(job: unknown, path: Path): Item[] {
  const found = valueAt(job, path);
  return Array.isArray(found) ? (found as Item[]) : [];
}

/** "zone-c" where there are a zone-a and a zone-b. */
function freeName(zones: readonly Zone[]): string {
  const taken = new Set(zones.map(({ name }) => name));
  const letters = Array.from('abcdefghijklmnopqrstuvwxyz', (letter) => `zone-${letter}`);
  return letters.find((name) => !taken.has(name)) ?? `zone-${String(zones.length + 1)}`;
}
