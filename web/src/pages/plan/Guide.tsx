import { Autocomplete, Button, NativeSelect, Stack, Text, TextInput, UnstyledButton } from '@mantine/core';
import { useState, type FormEvent } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useLive } from '@/api/live';
import { useNames, type CatalogKind } from '@/api/queries';
import { useFormat } from '@/i18n/useLanguage';
import { useJob } from '@/job/JobContext';
import { Loading } from '@/ui/Loading';
import { ProblemPanel } from '@/ui/ProblemPanel';

import classes from './Guide.module.css';

type Question = NonNullable<Schemas['Guide']['question']>;
/** What the questions are about, and the first of each. */
const STEPS = [
  ['model', 'model'],
  ['zones', 'zones'],
  ['techniques', 'precision'],
  ['degrees', 'microbatch_size'],
  ['tokens', 'dataset_tokens'],
] as const;

const NAMED: Partial<Record<string, CatalogKind>> = { model: 'models', gpu: 'gpus' };

/** One question after another, each with what is legal and what is recommended; at the end there is a job. */
export function Guide({ onDone }: { onDone: () => void }) {
  const { t } = useTranslation('plan');
  const { setText } = useJob();
  const [answers, setAnswers] = useState<readonly string[]>([]);
  const guide = useLive('guide', { answer: [...answers] });
  const question = guide.data?.question;
  if (guide.data == null) return <Loading />;
  return (
    <div className={classes.guide}>
      <Steps current={question?.key ?? ''} answers={answers} />
      <Answers answers={answers} onChange={setAnswers} />
      {guide.problem != null && <ProblemPanel problem={guide.problem} />}
      {question != null && (
        <Ask
          key={question.key}
          question={question}
          isWaiting={guide.isWaiting}
          onAnswer={(text) => {
            setAnswers([...answers.filter((each) => !each.startsWith(`${question.key}=`)), `${question.key}=${text}`]);
          }}
        />
      )}
      {guide.data.job != null && (
        <Stack gap="xs">
          <Text size="sm">{t('guide.done')}</Text>
          <Button
            onClick={() => {
              setText(guide.data?.job ?? '');
              onDone();
            }}
          >
            {t('guide.take')}
          </Button>
        </Stack>
      )}
      <Best guide={guide.data} />
    </div>
  );
}

/** How far it is: five steps. */
function Steps({ current, answers }: { current: string; answers: readonly string[] }) {
  const { t } = useTranslation('plan');
  const asked = [...answers.map((answer) => answer.split('=')[0]), current];
  const reached = STEPS.findLastIndex(([, first]) => asked.includes(first));
  return (
    <ol className={classes.steps}>
      {STEPS.map(([name], index) => (
        <li key={name} data-state={index < reached ? 'done' : index === reached ? 'now' : 'later'}>
          {t(`guide.steps.${name}`)}
        </li>
      ))}
    </ol>
  );
}

/** What was answered; a click takes back that answer and those after it. */
function Answers({
  answers,
  onChange,
}: {
  answers: readonly string[];
  onChange: (answers: readonly string[]) => void;
}) {
  const { t } = useTranslation('plan');
  return (
    <ul className={classes.answers}>
      {answers.map((answer, index) => (
        <li key={answer}>
          <UnstyledButton
            title={t('guide.back')}
            onClick={() => {
              onChange(answers.slice(0, index));
            }}
          >
            <code>{answer.replace('=', ' = ')}</code>
          </UnstyledButton>
        </li>
      ))}
    </ul>
  );
}

interface AskProps {
  question: Question;
  isWaiting: boolean;
  onAnswer: (text: string) => void;
}

function Ask({ question, isWaiting, onAnswer }: AskProps) {
  const { t } = useTranslation('plan');
  const [text, setText] = useState(question.default);
  const kind = NAMED[question.key];
  const names = useNames(kind ?? 'models');
  const key = question.key.replace(/_\d+$/, '');
  const prompt = t(`guide.questions.${key}`, {
    defaultValue: question.prompt,
    number: question.key.match(/\d+$/)?.[0],
  });
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    onAnswer(text);
  };
  const field = { label: prompt, size: 'sm' as const, value: text, spellCheck: false };
  const onType = (event: { currentTarget: { value: string } }) => {
    setText(event.currentTarget.value);
  };
  return (
    <form onSubmit={onSubmit}>
      <Stack gap={8}>
        {kind != null ? (
          <Autocomplete {...field} data={names} limit={40} onChange={setText} />
        ) : question.choices.length > 0 ? (
          <NativeSelect {...field} data={question.choices} onChange={onType} />
        ) : (
          <TextInput {...field} onChange={onType} />
        )}
        <Text size="xs" c="dimmed">
          {t('guide.reason', { value: question.default, reason: question.reason })}
        </Text>
        <Text size="xs" c="dimmed">
          {t('guide.bounds', { bounds: question.bounds })}
        </Text>
        <Button type="submit" loading={isWaiting}>
          {t('guide.next')}
        </Button>
      </Stack>
    </form>
  );
}

/** The best plan that keeps to the answers. */
function Best({ guide }: { guide: Schemas['Guide'] }) {
  const { t } = useTranslation('plan');
  const format = useFormat();
  if (guide.plan == null) return null;
  const { tp, pp, cp, dp } = guide.plan;
  return (
    <Text size="xs" c="dimmed">
      {t('guide.best', { plan: degrees({ tp, pp, cp, dp }), step: format.field('step_seconds', guide.step_seconds) })}
    </Text>
  );
}

function degrees(values: Record<string, number>): string {
  return Object.entries(values)
    .map(([axis, degree]) => `${axis} ${String(degree)}`)
    .join(' · ');
}
