import { Group, Skeleton, Table, Text } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat, useTerm } from '@/i18n/useLanguage';
import { Panel } from '@/ui/Panel';
import { StackedBar } from '@/ui/StackedBar';
import { termMeaning } from '@/theme/palette';
import { ProblemPanel } from '@/ui/ProblemPanel';

import { Degrees, WordList } from './PlanWords';
import { AXES, Radar, type Contender } from './Radar';
import classes from './Strategy.module.css';
import { DATA_PARALLEL, MODEL_PARALLEL, useWhy, type Why } from './useWhy';

type RankedPlan = Schemas['RankedPlan'];

interface Compared extends Contender {
  ranked: RankedPlan | null;
  /** Why it cannot be: what is drawn of it then does not fit. */
  obstacles: readonly string[];
}

/** The chosen plan against data parallel alone and model parallel alone, each as good as the engine can make it. */
export function Alternatives({ chosen }: { chosen: RankedPlan }) {
  const { t } = useTranslation('strategy');
  const [data, model] = [useWhy(DATA_PARALLEL), useWhy(MODEL_PARALLEL)];
  const problem = data.error ?? model.error;
  const contenders: Compared[] = [
    { ...named('chosen', 'compute', ''), ranked: chosen, obstacles: [], prediction: chosen.prediction },
    { ...named('dataParallel', 'dp', '6 3'), ...answered(data.data) },
    { ...named('modelParallel', 'tp', '2 3'), ...answered(model.data) },
  ].map((one) => ({ ...one, name: t(`radar.${one.key}`) }));
  if (problem != null)
    return <ProblemPanel problem={problem} onRetry={() => void Promise.all([data.refetch(), model.refetch()])} />;
  return (
    <Panel title={t('radar.title')} isStale={data.isPending || model.isPending}>
      <Text size="sm" c="dimmed" mb="sm">
        {t('radar.how')}
      </Text>
      <div className={classes.pair}>
        {data.isPending || model.isPending ? <Skeleton height={330} /> : <Radar contenders={contenders} />}
        <div>
          <Legend contenders={contenders} />
          <Steps contenders={contenders} />
        </div>
      </div>
      <ContenderTable contenders={contenders} />
    </Panel>
  );
}

function named(key: string, meaning: Contender['meaning'], dash: string) {
  return { key, name: '', meaning, dash };
}

/** What the engine found of a question; a plan that does not fit keeps its numbers, and says so. */
function answered(why: Why | undefined): Pick<Compared, 'ranked' | 'prediction' | 'obstacles'> {
  const ranked = why?.plan ?? null;
  return {
    ranked,
    prediction: ranked?.prediction ?? null,
    obstacles: why == null || why.is_possible ? [] : why.reasons,
  };
}

function Legend({ contenders }: { contenders: readonly Compared[] }) {
  const { t } = useTranslation('strategy');
  return (
    <Group gap="xs" mb="md" style={{ flexDirection: 'column', alignItems: 'stretch' }}>
      {contenders.map(({ key, name, meaning, dash, ranked, obstacles }) => (
        <div key={key}>
          <Group gap={8} wrap="nowrap">
            <svg width={24} height={8} aria-hidden style={{ flex: 'none' }}>
              <line
                x1={0}
                x2={24}
                y1={4}
                y2={4}
                stroke={`var(--cz-${meaning})`}
                strokeWidth={2}
                strokeDasharray={dash}
              />
            </svg>
            <Text size="sm" fw={560}>
              {name}
            </Text>
            {ranked != null && <Degrees plan={ranked.plan} />}
            {obstacles.length > 0 && (
              <Text size="sm" fw={560} style={{ color: 'var(--cz-bad)' }}>
                {t(ranked?.prediction.memory.fits === false ? 'radar.doesNotFit' : 'radar.impossible')}
              </Text>
            )}
          </Group>
          {obstacles.length > 0 && <WordList items={obstacles.slice(0, 2)} />}
        </div>
      ))}
    </Group>
  );
}

/** The step of each, by what it spends its time on. */
function Steps({ contenders }: { contenders: readonly Compared[] }) {
  const { t } = useTranslation('strategy');
  const format = useFormat();
  const term = useTerm();
  const most = Math.max(...contenders.map(({ prediction }) => prediction?.step_seconds ?? 0));
  return (
    <div className={classes.bars} role="group" aria-label={t('radar.steps')}>
      {contenders.map(({ key, name, prediction }) => (
        <Row
          key={key}
          name={name}
          value={prediction == null ? '–' : format.field('step_seconds', prediction.step_seconds)}
        >
          {prediction != null && (
            <StackedBar
              label={name}
              name="exposed_seconds"
              total={most}
              height={16}
              parts={prediction.terms.map((one) => ({
                key: one.name,
                label: term('term', one.name),
                meaning: termMeaning(one.name),
                value: one.exposed_seconds,
              }))}
            />
          )}
        </Row>
      ))}
    </div>
  );
}

function Row({ name, value, children }: { name: string; value: string; children: React.ReactNode }) {
  return (
    <>
      <span className={classes.label}>{name}</span>
      <div>{children}</div>
      <span className={classes.value}>{value}</span>
    </>
  );
}

function ContenderTable({ contenders }: { contenders: readonly Compared[] }) {
  const { t } = useTranslation('strategy');
  const format = useFormat();
  return (
    <div className={classes.tableScroll}>
      <Table verticalSpacing={4} mt="md" tabularNums aria-label={t('radar.title')}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th />
            {contenders.map(({ key, name }) => (
              <Table.Th key={key} ta="right">
                {name}
              </Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {AXES.map((axis) => (
            <Table.Tr key={axis.name}>
              <Table.Th scope="row" fw={400} c="dimmed">
                {t(`field.${axis.name}`)}
              </Table.Th>
              {contenders.map(({ key, prediction }) => (
                <Table.Td key={key} ta="right">
                  {prediction == null ? '–' : format.field(axis.name, axis.value(prediction))}
                </Table.Td>
              ))}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </div>
  );
}
