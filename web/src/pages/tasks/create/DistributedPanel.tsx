import { Button, Group, NativeSelect, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { RefreshCw } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api } from '@/api/client';
import { useLive } from '@/api/live';
import { configurationQuery, useNames } from '@/api/queries';
import { useFormat, useTerm } from '@/i18n/useLanguage';
import { useEnvironments, type Environment } from '@/inventory/useEnvironments';
import { Panel } from '@/ui/Panel';
import { ProblemPanel } from '@/ui/ProblemPanel';

import { ConnectivityMatrix } from './ConnectivityMatrix';
import classes from './CreateTask.module.css';
import type { FieldsProps } from './draft';

/** So that nodes which are chosen one after the other are looked at together. */
const REST_MILLISECONDS = 1200;

/** Where the nodes meet, by which framework they train, and whether they reach each other. */
export function DistributedPanel({ draft, errorOf, set, mainNode }: FieldsProps & { mainNode: string | undefined }) {
  const { t } = useTranslation('tasks');
  const term = useTerm();
  const frameworks = useNames('frameworks');
  const { data } = useEnvironments();
  const chosen = draft.nodeIds.flatMap((id) => data?.environments.filter((each) => each.id === id) ?? []);
  return (
    <Panel title={t('create.distributed')}>
      <div className={classes.grid}>
        {!draft.isNew && (
          <NativeSelect
            inputWrapperOrder={['label', 'input', 'description', 'error']}
            label={t('create.mainNode')}
            description={t(draft.masterNode === '' ? 'create.mainByItself' : 'create.mainByHand')}
            value={mainNode ?? ''}
            error={errorOf('masterNode')}
            data={chosen.map(({ id, name }) => ({ value: id, label: name }))}
            onChange={(event) => {
              set({ masterNode: event.currentTarget.value });
            }}
          />
        )}
        <NativeSelect
          inputWrapperOrder={['label', 'input', 'description', 'error']}
          label={t('create.framework')}
          description={t(`create.frameworks.${draft.framework}`, { defaultValue: '' })}
          value={draft.framework}
          error={errorOf('framework')}
          data={[
            { value: '', label: t('create.noFramework') },
            ...frameworks.map((value) => ({ value, label: term('framework', value) })),
          ]}
          onChange={(event) => {
            set({ framework: event.currentTarget.value });
          }}
        />
      </div>
      {!draft.isNew && <Connectivity ids={draft.nodeIds} chosen={chosen} />}
    </Panel>
  );
}

/** What is known of the paths between the chosen nodes, and a button that looks again. */
function Connectivity({ ids, chosen }: { ids: readonly string[]; chosen: readonly Environment[] }) {
  const { t } = useTranslation('tasks');
  const format = useFormat();
  const queries = useQueryClient();
  const [looked, setLooked] = useState(0);
  const { data: configuration } = useQuery(configurationQuery);
  const paths = useLive('environments/paths', { ids: [...ids] });
  const probe = useMutation({
    mutationFn: () => answer(api.POST('/api/v1/environments/probe', { body: { ids: [...ids] } })),
    onSuccess: async () => {
      setLooked(Date.now() / 1000);
      await queries.invalidateQueries({ queryKey: ['environments/paths'] });
      await queries.invalidateQueries({ queryKey: ['environments'] });
      await queries.invalidateQueries({ queryKey: ['training-tasks/examine'] });
    },
  });
  const isDemo = configuration?.is_demo ?? true;
  const isUnknown = !paths.isStale && (paths.data?.paths.some((path) => path.is_open == null) ?? false);
  const canLook = !isDemo && chosen.every(({ addresses }) => addresses.length > 0);
  useLookOnce(isUnknown && canLook ? ids.join(' ') : '', probe.mutate);
  return (
    <section aria-label={t('create.connectivity')}>
      <Group justify="space-between" mt="md" mb={6}>
        <Text fw={560} size="sm">
          {t('create.connectivity')}
        </Text>
        <Group gap="xs">
          {looked > 0 && (
            <Text size="xs" c="dimmed">
              {t('create.lookedAt', { when: format.moment(looked) })}
            </Text>
          )}
          <Button
            variant="default"
            size="compact-xs"
            leftSection={<RefreshCw size={12} aria-hidden />}
            loading={probe.isPending}
            disabled={isDemo}
            title={isDemo ? t('create.noProbe') : undefined}
            onClick={() => {
              probe.mutate();
            }}
          >
            {t('create.probe')}
          </Button>
        </Group>
      </Group>
      {probe.error != null && <ProblemPanel problem={probe.error} />}
      {probe.data?.warnings.map((warning) => (
        <Text key={warning} size="xs">
          {warning}
        </Text>
      ))}
      {paths.problem != null && <ProblemPanel problem={paths.problem} onRetry={paths.retry} />}
      {paths.data != null && (
        <ConnectivityMatrix
          ids={ids}
          names={chosen.map(({ name }) => name)}
          paths={paths.data.paths}
          isStale={paths.isStale}
        />
      )}
    </section>
  );
}

/** Look at paths that nobody has looked at, a moment after these nodes were chosen; empty: there are none. */
function useLookOnce(nodes: string, look: () => void): void {
  const looked = useRef(new Set<string>());
  useEffect(() => {
    if (nodes === '' || looked.current.has(nodes)) return undefined;
    const timer = setTimeout(() => {
      looked.current.add(nodes);
      look();
    }, REST_MILLISECONDS);
    return () => {
      clearTimeout(timer);
    };
  }, [nodes, look]);
}
