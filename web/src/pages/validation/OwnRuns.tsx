import { Button, FileButton, Group, Progress, Text } from '@mantine/core';
import { useState, type DragEvent } from 'react';
import { Upload } from 'lucide-react';
import { useTranslation } from 'react-i18next';

import { Panel } from '@/ui/Panel';
import { ProblemPanel } from '@/ui/ProblemPanel';

import { OwnResult } from './OwnResult';
import { useValidation } from './useValidation';
import classes from './ValidationPage.module.css';

/** A table of one's own, as a file: predicted row by row, with what is skipped and why. */
export function OwnRuns() {
  const { t } = useTranslation('validation');
  const { operation, result, problem, start, cancel } = useValidation();
  const [name, setName] = useState('');
  const take = (file: File | null | undefined) => {
    if (file == null) return;
    setName(file.name);
    void file.text().then(start);
  };
  const onDrop = (event: DragEvent) => {
    event.preventDefault();
    take(event.dataTransfer.files[0]);
  };
  return (
    <Panel title={t('own.title')} note={name}>
      <div
        className={classes.drop}
        onDragOver={(event) => {
          event.preventDefault();
        }}
        onDrop={onDrop}
      >
        <FileButton accept=".csv,text/csv,text/plain" onChange={take}>
          {(props) => (
            <Button {...props} variant="default" leftSection={<Upload size={14} />}>
              {t('own.choose')}
            </Button>
          )}
        </FileButton>
        <Text size="xs" c="dimmed">
          {t('own.what')}
        </Text>
      </div>
      {operation != null && (
        <Group mt="sm" gap="sm" wrap="nowrap">
          <Progress
            flex={1}
            aria-label={t('own.progress')}
            value={(operation.progress_fraction ?? 0) * 100}
            animated={operation.progress_fraction == null}
          />
          <Button variant="subtle" size="compact-xs" onClick={cancel}>
            {t('own.cancel')}
          </Button>
        </Group>
      )}
      {problem != null && <ProblemPanel problem={problem} />}
      {result != null && <OwnResult validation={result} />}
    </Panel>
  );
}
