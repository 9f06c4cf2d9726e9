import { Button, Group, SegmentedControl, Text, UnstyledButton } from '@mantine/core';
import { useClipboard } from '@mantine/hooks';
import { useMutation } from '@tanstack/react-query';
import { Check, Copy, Download } from 'lucide-react';
import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useJob } from '@/job/JobContext';
import { CodeView } from '@/ui/CodeView';
import type { CodeLanguage } from '@/ui/highlight';
import { Panel } from '@/ui/Panel';
import { ProblemPanel } from '@/ui/ProblemPanel';

import classes from './DeployPage.module.css';
import { difference } from './difference';
import { bodyOf, download, type Bundle, type Options } from './render';

const LANGUAGES: Record<string, CodeLanguage> = {
  yaml: 'yaml',
  yml: 'yaml',
  json: 'json',
  py: 'python',
  sh: 'shell',
  toml: 'toml',
};

interface Props {
  bundle: Bundle;
  /** The render before this one; what differs is marked. */
  before: Bundle | null;
  options: Options;
}

/** The files of a bundle: a list at the left, the chosen one at the right, as it is or as it changed. */
export function Files({ bundle, before, options }: Props) {
  const { t } = useTranslation('deploy');
  const [path, setPath] = useState('run_training.sh');
  const [view, setView] = useState('text');
  const { copy, copied } = useClipboard();
  const { job } = useJob();
  const archive = useMutation({
    mutationFn: () => download('/api/v1/deploy', 'bundle.tar.gz', bodyOf(job, options)),
  });
  const shown = bundle.files.find((file) => file.path === path) ?? bundle.files[0];
  const old = before?.files.find((file) => file.path === shown?.path);
  const changeOf = (file: Bundle['files'][number]) => {
    if (before == null) return 'same';
    const known = before.files.find((each) => each.path === file.path);
    return known == null ? 'added' : known.sha256 === file.sha256 ? 'same' : 'changed';
  };
  const aside = (
    <Group gap="xs">
      {before != null && (
        <SegmentedControl
          aria-label={t('files.view')}
          value={view}
          data={['text', 'changes'].map((value) => ({ value, label: t(`files.${value}`) }))}
          onChange={setView}
        />
      )}
      <Button
        variant="default"
        size="compact-xs"
        leftSection={copied ? <Check size={12} aria-hidden /> : <Copy size={12} aria-hidden />}
        onClick={() => {
          copy(shown?.text ?? '');
        }}
      >
        {t(copied ? 'files.copied' : 'files.copy')}
      </Button>
      <Button
        variant="default"
        size="compact-xs"
        loading={archive.isPending}
        leftSection={<Download size={12} aria-hidden />}
        onClick={() => {
          archive.mutate();
        }}
      >
        {t('files.archive')}
      </Button>
    </Group>
  );
  return (
    <Panel title={t('files.count', { count: bundle.files.length, ranks: bundle.world_size })} aside={aside}>
      {archive.error != null && <ProblemPanel problem={archive.error} />}
      {bundle.warnings.map((warning) => (
        <Text key={warning} size="xs" c="dimmed">
          {warning}
        </Text>
      ))}
      <div className={classes.files}>
        <ul className={classes.list} aria-label={t('files.title')}>
          {bundle.files.map((file) => (
            <li key={file.path}>
              <UnstyledButton
                className={classes.file}
                aria-current={file.path === shown?.path}
                data-change={changeOf(file)}
                title={file.path}
                onClick={() => {
                  setPath(file.path);
                }}
              >
                {file.path}
              </UnstyledButton>
            </li>
          ))}
        </ul>
        <div className={classes.text} data-testid="file">
          {shown != null &&
            (view === 'changes' && before != null ? (
              <Difference before={old?.text ?? ''} after={shown.text} />
            ) : (
              <CodeView text={shown.text} language={languageOf(shown.path)} label={shown.path} />
            ))}
        </div>
      </div>
    </Panel>
  );
}

export function Difference({ before, after }: { before: string; after: string }) {
  const { t } = useTranslation('deploy');
  const lines = useMemo(() => difference(before, after), [before, after]);
  if (lines.every(({ kind }) => kind === 'same')) return <Text p="md">{t('files.same')}</Text>;
  return (
    <pre className={classes.difference}>
      {lines.map(({ kind, text }, index) => (
        <div key={index} data-kind={kind}>
          <i aria-hidden>{kind === 'added' ? '+' : kind === 'removed' ? '−' : ' '}</i>
          {text}
        </div>
      ))}
    </pre>
  );
}

function languageOf(path: string): CodeLanguage {
  return LANGUAGES[path.slice(path.lastIndexOf('.') + 1)] ?? 'text';
}
