import { Button, Group, TextInput } from '@mantine/core';
import { FileCode2, Rocket } from 'lucide-react';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useLive } from '@/api/live';
import type { Schemas } from '@/api/client';
import { useFormat } from '@/i18n/useLanguage';
import { useJob } from '@/job/JobContext';
import { Empty } from '@/ui/Empty';
import { Loading } from '@/ui/Loading';
import { PageBody } from '@/ui/PageBody';
import { PageHeader } from '@/ui/PageHeader';
import { Panel } from '@/ui/Panel';
import { ProblemPanel } from '@/ui/ProblemPanel';

import { Cells } from './Cells';
import { Confirm } from './Confirm';
import { Deployments } from './Deployments';
import { Files } from './Files';
import { said, useRender, type Options } from './render';

const FIRST: Options = { framework: '', backend: 'kubernetes', steps: '1000', checkpoints: 'none', data: '' };

/** The job as files: for which framework, over which backend, what they say, and what becomes of them. */
export default function DeployPage() {
  const { t } = useTranslation('deploy');
  const { job, isBroken, isSyncing } = useJob();
  const [chosen, choose] = useState(FIRST);
  const options = chosen.framework === '' ? { ...chosen, framework: named(job) ?? 'megatron' } : chosen;
  const [isAsking, ask] = useState(false);
  const { bundle, before, render } = useRender();
  const isReady = Object.keys(job).length > 0 && !isBroken && !isSyncing;
  const cells = useLive('deploy/cells', isReady ? { job: job as Schemas['JobFile'], ...said(options) } : null);
  const set = (changed: Partial<Options>) => {
    choose((known) => ({ ...known, ...changed }));
  };
  return (
    <>
      <PageHeader note={<Subject />}>
        <Button
          variant="default"
          leftSection={<FileCode2 size={14} aria-hidden />}
          loading={render.isPending}
          disabled={!isReady}
          onClick={() => {
            render.mutate(options);
          }}
        >
          {t('render')}
        </Button>
        <Button
          leftSection={<Rocket size={14} aria-hidden />}
          disabled={bundle == null}
          onClick={() => {
            ask(true);
          }}
        >
          {t('deploy')}
        </Button>
      </PageHeader>
      <PageBody>
        {isBroken && <Empty title={t('broken')}>{t('brokenWhy')}</Empty>}
        <Panel title={t('cells.title')} isStale={cells.isStale}>
          {cells.problem != null && <ProblemPanel problem={cells.problem} onRetry={cells.retry} />}
          {cells.data == null && cells.problem == null && <Loading height={220} />}
          {cells.data != null && <Cells cells={cells.data.cells} options={options} onChoose={set} />}
          <Group gap="sm" mt="md" align="end">
            {(['steps', 'checkpoints', 'data'] as const).map((name) => (
              <TextInput
                key={name}
                label={t(`options.${name}`)}
                value={options[name]}
                spellCheck={false}
                onChange={(event) => {
                  set({ [name]: event.currentTarget.value });
                }}
              />
            ))}
          </Group>
        </Panel>
        {render.error != null && <ProblemPanel problem={render.error} />}
        {bundle == null ? (
          <Panel title={t('files.title')}>
            {render.isPending ? <Loading height={320} /> : <Empty title={t('files.none')}>{t('files.noneWhy')}</Empty>}
          </Panel>
        ) : (
          <Files bundle={bundle} before={before} options={options} />
        )}
        <Deployments />
      </PageBody>
      {isAsking && (
        <Confirm
          options={options}
          onClose={() => {
            ask(false);
          }}
        />
      )}
    </>
  );
}

/** The framework of the job file, where it has one. */
function named(job: Record<string, unknown>): string | undefined {
  return (job['framework'] as { name?: string } | null | undefined)?.name;
}

function Subject() {
  const { job } = useJob();
  const format = useFormat();
  const zones = ((job['cluster'] as { zones?: { name: string }[] } | undefined)?.zones ?? []).map(({ name }) => name);
  return zones.length === 0 ? null : format.list(zones);
}
