import { Button } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useNavigate } from 'react-router';

import { answer, api, idempotencyKey } from '@/api/client';
import { ConfirmStart, isPaid } from '@/ui/ConfirmStart';
import { PageBody } from '@/ui/PageBody';
import { PageHeader } from '@/ui/PageHeader';
import { ProblemPanel } from '@/ui/ProblemPanel';

import { BasicFields } from './BasicFields';
import classes from './CreateTask.module.css';
import { DistributedPanel } from './DistributedPanel';
import { FIRST_DRAFT, isDistributed, requestOf, withNodes, type Draft, type FieldsProps } from './draft';
import { EnvironmentCards } from './EnvironmentCards';
import { NewNodes } from './NewNodes';
import { RunFields } from './RunFields';
import { Summary } from './Summary';
import { useExamined } from './useExamined';

/** A new task: what is trained at the top, on what below it, and at the right what comes of it. */
export function CreateTask() {
  const { t } = useTranslation('tasks');
  const [draft, setDraft] = useState(FIRST_DRAFT);
  const examined = useExamined(draft);
  const creation = useCreation();
  const costs = examined.request.data?.task?.costs;
  const [isSent, setIsSent] = useState(false);
  const [isAsking, { open: askForCost, close: stopAsking }] = useDisclosure(false);
  const change = (changed: (before: Draft) => Draft) => {
    if (creation.isError) creation.reset(); // it was said of another draft
    setDraft(changed);
  };
  const fields: FieldsProps = {
    draft,
    errorOf: examined.errorOf,
    set: (changed) => {
      change((before) => ({ ...before, ...changed }));
    },
  };
  const mainNode = draft.masterNode === '' ? examined.cluster.data?.main_node : draft.masterNode;
  // That nothing is chosen yet is no mistake before somebody asks for the task.
  const isEarly = draft.nodeIds.length === 0 ? !isSent : examined.request.isStale;
  return (
    <>
      <PageHeader note={t('create.title')} />
      <PageBody>
        {/* eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- a key does less here, not more */}
        <form
          className={classes.split}
          onKeyDown={(event) => {
            // In the middle of a form, Enter means that a value is complete; what costs money begins with its button.
            if (event.key === 'Enter' && event.target instanceof HTMLInputElement) event.preventDefault();
          }}
          onSubmit={(event) => {
            event.preventDefault();
            setIsSent(true);
            if (examined.request.data?.errors.length === 0 && isPaid(draft.launchMode, costs)) askForCost();
            else creation.mutate(draft);
          }}
        >
          <div className={classes.fields}>
            <BasicFields {...fields} />
            {draft.isNew ? (
              <NewNodes {...fields} />
            ) : (
              <EnvironmentCards
                chosen={draft.nodeIds}
                mainNode={mainNode}
                error={isEarly ? null : examined.errorOf('nodeIds')}
                onChoose={(ids) => {
                  change((before) => withNodes(before, ids));
                }}
              />
            )}
            {isDistributed(draft) && <DistributedPanel {...fields} mainNode={mainNode} />}
            <RunFields {...fields} />
          </div>
          <div className={classes.summary}>
            <Summary draft={draft} examined={examined}>
              {creation.error != null && <ProblemPanel problem={creation.error} />}
              <Button type="submit" size="sm" fullWidth loading={creation.isPending}>
                {t(`create.submit.${draft.launchMode}`)}
              </Button>
            </Summary>
          </div>
        </form>
      </PageBody>
      {isAsking && (
        <ConfirmStart
          title={t('create.confirm')}
          why={t(`create.modes.${draft.launchMode}`)}
          name={draft.taskName}
          launchMode={draft.launchMode}
          costs={costs}
          submit={t(`create.submit.${draft.launchMode}`)}
          onClose={stopAsking}
          onSure={() => {
            stopAsking();
            creation.mutate(draft);
          }}
        />
      )}
    </>
  );
}

/** Create a task once, however often the same draft is sent; then look at it. */
function useCreation() {
  const navigate = useNavigate();
  const queries = useQueryClient();
  const sent = useRef({ text: '', headers: {} });
  return useMutation({
    mutationFn: (draft: Draft) => {
      const body = requestOf(draft);
      const text = JSON.stringify(body);
      if (sent.current.text !== text) sent.current = { text, headers: idempotencyKey() };
      return answer(api.POST('/api/v1/training-tasks', { body: body as never, headers: sent.current.headers }));
    },
    onSuccess: async ({ data }) => {
      await queries.invalidateQueries({ queryKey: ['tasks'] });
      await navigate(`/tasks/${data.taskId}`, { state: { isNew: true } });
    },
  });
}
