import { ActionIcon, Button, Checkbox, Group, Modal, Stack, Text, Tooltip } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Download, GitCompare, RotateCcw, Trash2 } from 'lucide-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useNavigate } from 'react-router';

import { answer, api, idempotencyKey, type Schemas } from '@/api/client';
import { formatDigest } from '@/format';
import { useFormat, useTerm } from '@/i18n/useLanguage';
import { DataTable, type Column } from '@/ui/DataTable';
import { Empty } from '@/ui/Empty';
import { Loading } from '@/ui/Loading';
import { Panel } from '@/ui/Panel';
import { ProblemPanel } from '@/ui/ProblemPanel';
import { Quantity } from '@/ui/Quantity';
import { RunAgain } from '@/ui/RunAgain';

import classes from './DeployPage.module.css';
import { download } from './render';

type Deployment = Schemas['Deployment'];
type Deed = 'again' | 'remove';

/** Bundles that are kept: compared, downloaded, run again, forgotten. */
export function Deployments() {
  const { t } = useTranslation('deploy');
  const [marked, setMarked] = useState<readonly string[]>([]);
  const [isComparing, compare] = useState(false);
  const [asked, ask] = useState<{ deed: Deed; deployment: Deployment } | null>(null);
  const { data, error, refetch } = useQuery({
    queryKey: ['deployments'],
    queryFn: () => answer(api.GET('/api/v1/deployments', { params: { query: { limit: 200 } } })),
    refetchInterval: 15_000,
  });
  const archive = useMutation({
    mutationFn: ({ id }: Deployment) => download(`/api/v1/deployments/${id}/archive`, `${formatDigest(id)}.tar.gz`),
  });
  const columns = useColumns({
    marked,
    onMark: (id) => {
      setMarked((before) => (before.includes(id) ? before.filter((each) => each !== id) : [...before, id].slice(-2)));
    },
    onDownload: archive.mutate,
    onAsk: (deed, deployment) => {
      ask({ deed, deployment });
    },
  });
  const aside = (
    <Button
      variant="default"
      size="compact-xs"
      disabled={marked.length < 2}
      leftSection={<GitCompare size={12} aria-hidden />}
      onClick={() => {
        compare(true);
      }}
    >
      {t('kept.compare')}
    </Button>
  );
  return (
    <Panel title={t('kept.title')} aside={aside}>
      {error != null && <ProblemPanel problem={error} onRetry={() => void refetch()} />}
      {archive.error != null && <ProblemPanel problem={archive.error} />}
      {data == null && error == null && <Loading height={80} />}
      {data?.deployments.length === 0 && <Empty title={t('kept.none')}>{t('kept.noneWhy')}</Empty>}
      {data != null && data.deployments.length > 0 && (
        <DataTable label={t('kept.title')} rows={data.deployments} columns={columns} rowKey={({ id }) => id} />
      )}
      {isComparing && marked[0] != null && marked[1] != null && (
        <Changes
          since={marked[0]}
          id={marked[1]}
          onClose={() => {
            compare(false);
          }}
        />
      )}
      {asked != null && (
        <Ask
          {...asked}
          onClose={() => {
            ask(null);
          }}
        />
      )}
    </Panel>
  );
}

interface ColumnsProps {
  marked: readonly string[];
  onMark: (id: string) => void;
  onDownload: (deployment: Deployment) => void;
  onAsk: (deed: Deed, deployment: Deployment) => void;
}

function useColumns({ marked, onMark, onDownload, onAsk }: ColumnsProps): Column<Deployment>[] {
  const { t } = useTranslation('deploy');
  const term = useTerm();
  const format = useFormat();
  const button = (label: string, Icon: typeof Download, onClick: () => void) => (
    <Tooltip label={label}>
      <ActionIcon variant="subtle" color="gray" size="sm" aria-label={label} onClick={onClick}>
        <Icon size={14} />
      </ActionIcon>
    </Tooltip>
  );
  return [
    {
      key: 'mark',
      title: '',
      value: () => null,
      cell: ({ id }) => (
        <Checkbox
          size="xs"
          checked={marked.includes(id)}
          aria-label={t('kept.mark', { id: formatDigest(id) })}
          onChange={() => {
            onMark(id);
          }}
        />
      ),
    },
    {
      key: 'id',
      title: t('kept.id'),
      value: ({ id }) => id,
      cell: ({ id }) => <code title={id}>{formatDigest(id)}</code>,
    },
    { key: 'framework', title: t('cells.framework'), value: ({ framework }) => term('framework', framework) },
    { key: 'backend', title: t('kept.backend'), value: ({ backend }) => backend },
    { key: 'ranks', title: t('kept.ranks'), isNumber: true, value: (row) => row.world_size },
    {
      key: 'step',
      title: t('kept.step'),
      isNumber: true,
      value: ({ prediction }) => prediction?.step_seconds,
      cell: ({ prediction }) => <Quantity name="step_seconds" value={prediction?.step_seconds} />,
    },
    { key: 'owner', title: t('kept.owner'), value: ({ owner }) => owner },
    {
      key: 'created',
      title: t('kept.created'),
      value: (row) => row.created_seconds,
      cell: (row) => format.moment(row.created_seconds),
    },
    {
      key: 'deeds',
      title: '',
      value: () => null,
      cell: (row) => (
        <Group gap={2} wrap="nowrap">
          {button(t('files.archive'), Download, () => {
            onDownload(row);
          })}
          {button(t('kept.again.title'), RotateCcw, () => {
            onAsk('again', row);
          })}
          {button(t('kept.remove.title'), Trash2, () => {
            onAsk('remove', row);
          })}
        </Group>
      ),
    },
  ];
}

function Ask({ deed, deployment, onClose }: { deed: Deed; deployment: Deployment; onClose: () => void }) {
  const { t } = useTranslation('deploy');
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [key] = useState(idempotencyKey);
  const params = { path: { deployment_id: deployment.id } };
  const done = useMutation({
    mutationFn: async () => {
      if (deed === 'remove') {
        await answer(api.DELETE('/api/v1/deployments/{deployment_id}', { params }));
        return null;
      }
      const body = {} as never;
      return answer(api.POST('/api/v1/deployments/{deployment_id}/tasks', { params, body, headers: key }));
    },
    onSuccess: async (made) => {
      await queries.invalidateQueries({ queryKey: ['deployments'] });
      onClose();
      if (made != null) await navigate(`/tasks/${made.data.taskId}`, { state: { isNew: true } });
    },
  });
  const asked = useQuery({
    queryKey: ['deployments', deployment.id, 'request'],
    queryFn: () => answer(api.GET('/api/v1/deployments/{deployment_id}/tasks/newest', { params })),
    enabled: deed === 'again',
  });
  const shared = { title: t(`kept.${deed}.title`), why: t(`kept.${deed}.why`, { id: formatDigest(deployment.id) }) };
  if (deed === 'again')
    return (
      <RunAgain
        {...shared}
        request={asked.data?.request}
        submit={shared.title}
        isBusy={done.isPending}
        problem={done.error ?? asked.error}
        onSure={done.mutate}
        onClose={onClose}
      />
    );
  return (
    <Modal opened onClose={onClose} title={shared.title} closeButtonProps={{ 'aria-label': t('cancel') }}>
      <Stack gap="sm">
        <Text size="sm">{shared.why}</Text>
        {done.error != null && <ProblemPanel problem={done.error} />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            {t('cancel')}
          </Button>
          <Button
            color="red"
            loading={done.isPending}
            onClick={() => {
              done.mutate();
            }}
          >
            {shared.title}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}

/** How the files of one deployment differ from those of another, as the server tells. */
function Changes({ since, id, onClose }: { since: string; id: string; onClose: () => void }) {
  const { t } = useTranslation('deploy');
  const { data, error } = useQuery({
    queryKey: ['deployments', since, id],
    queryFn: () => {
      const params = { path: { deployment_id: id }, query: { since } };
      return answer(api.GET('/api/v1/deployments/{deployment_id}/changes', { params }));
    },
  });
  return (
    <Modal
      opened
      onClose={onClose}
      size="xl"
      title={t('kept.compare')}
      closeButtonProps={{ 'aria-label': t('cancel') }}
    >
      {error != null && <ProblemPanel problem={error} />}
      {data?.changes.length === 0 && <Text>{t('files.same')}</Text>}
      {data?.changes.map((change) => (
        <section key={change.path}>
          <Text fw={560} size="sm">
            {change.path}
          </Text>
          <pre className={classes.difference}>
            {change.difference.split('\n').map((line, index) => (
              <div key={index} data-kind={line.startsWith('+') ? 'added' : line.startsWith('-') ? 'removed' : 'same'}>
                {line}
              </div>
            ))}
          </pre>
        </section>
      ))}
    </Modal>
  );
}
