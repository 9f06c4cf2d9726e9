import { Text } from '@mantine/core';
import { CircleAlert, Globe, Server } from 'lucide-react';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat, useLanguage, useTerm } from '@/i18n/useLanguage';
import { useEnvironments } from '@/inventory/useEnvironments';
import { Panel } from '@/ui/Panel';
import { ProblemPanel } from '@/ui/ProblemPanel';
import { Quantity } from '@/ui/Quantity';
import { Verdict } from '@/ui/Verdict';

import type { Draft } from './draft';
import classes from './Summary.module.css';
import type { Examined } from './useExamined';

interface Props {
  draft: Draft;
  examined: Examined;
  children: ReactNode;
}

/** What the request comes to: resources, what is predicted of them, what to know before it is sent. */
export function Summary({ draft, examined, children }: Props) {
  const { t } = useTranslation('tasks');
  const { cluster, request } = examined;
  const isNothing = !draft.isNew && draft.nodeIds.length === 0;
  return (
    <Panel title={t('create.summary')}>
      <div className={classes.summary} data-testid="summary" data-stale={cluster.isStale} aria-live="polite">
        {isNothing && (
          <Text size="sm" c="dimmed">
            {t('create.nothing')}
          </Text>
        )}
        {!isNothing && !draft.isNew && cluster.data != null && <Resources totals={cluster.data.totals} draft={draft} />}
        {!isNothing && request.data?.task != null && (
          <Forecast examined={request.data.task} isStale={request.isStale} />
        )}
        {request.problem != null && <ProblemPanel problem={request.problem} onRetry={request.retry} />}
        {!isNothing && <Others examined={examined} />}
        {!isNothing && !draft.isNew && (
          <Chosen ids={draft.nodeIds} training={request.data?.task?.comparison?.alone.zones} />
        )}
      </div>
      <div className={classes.actions}>{children}</div>
    </Panel>
  );
}

function Resources({ totals, draft }: { totals: Schemas['EnvironmentTotals']; draft: Draft }) {
  const { t } = useTranslation('tasks');
  const term = useTerm();
  const isMany = totals.is_distributed;
  const kinds = totals.gpus.map(({ gpu, num_gpus: gpus }) => t('create.gpuCount', { gpus, gpu })).join(', ');
  const framework = draft.framework === '' ? '' : term('framework', draft.framework);
  return (
    <>
      <p className={classes.mode}>
        {isMany ? <Globe size={15} aria-hidden /> : <Server size={15} aria-hidden />}
        {isMany ? t('create.isDistributed', { framework }) : t('create.isSingle')}
      </p>
      <dl className={classes.rows}>
        {isMany && <Row label={t('create.nodes')}>{t('create.unitNodes', { count: totals.num_environments })}</Row>}
        <Row label={t('create.totalGpus')} note={kinds}>
          {t('create.unitGpus', { count: totals.num_gpus })}
        </Row>
        <Row label={t('create.totalCpus')}>
          <AtLeast isExact={totals.num_unknown_cpus === 0} isAll={totals.num_unknown_cpus === totals.num_environments}>
            {t('create.unitCpus', { count: totals.num_cpus })}
          </AtLeast>
        </Row>
        <Row label={t('create.totalMemory')}>
          <AtLeast
            isExact={totals.num_unknown_memory === 0}
            isAll={totals.num_unknown_memory === totals.num_environments}
          >
            <Quantity name="memory_bytes" value={totals.memory_bytes} />
          </AtLeast>
        </Row>
        {isMany && <Row label={t('create.zones')}>{t('create.unitZones', { count: totals.zones.length })}</Row>}
      </dl>
    </>
  );
}

/** A sum of which some parts, or all, are not known. */
function AtLeast({ isExact, isAll, children }: { isExact: boolean; isAll: boolean; children: ReactNode }) {
  const { t } = useTranslation('tasks');
  const format = useFormat();
  if (isAll && !isExact) return format.field('count', null);
  return isExact ? (
    children
  ) : (
    <>
      {t('create.atLeast')} {children}
    </>
  );
}

function Forecast({ examined, isStale }: { examined: Schemas['ExaminedTask']; isStale: boolean }) {
  const { t } = useTranslation('tasks');
  const term = useTerm();
  const format = useFormat();
  const { prediction, costs, start } = examined;
  const worst = prediction?.links.reduce<Schemas['Link'] | null>(
    (found, link) => (found == null || link.exposed_seconds > found.exposed_seconds ? link : found),
    null,
  );
  return (
    <div data-stale={isStale} data-testid="forecast">
      {prediction != null && (
        <dl className={classes.rows}>
          <Row label={t('create.working')}>
            {t('create.workingOf', { working: prediction.num_gpus, all: examined.num_gpus })}
          </Row>
          <Row label={term('field', 'step_seconds')}>
            <Quantity name="step_seconds" value={prediction.step_seconds} />
          </Row>
          <Row label={term('field', 'tokens_per_second')}>
            <Quantity name="tokens_per_second" value={prediction.tokens_per_second} />
          </Row>
          <Row
            label={t('create.memory')}
            note={t('create.ofCapacity', {
              peak: format.field('peak_bytes', prediction.memory.peak_bytes),
              capacity: format.field('capacity_bytes', prediction.memory.capacity_bytes),
            })}
          >
            <Verdict value={prediction.memory.verdict} />
          </Row>
          <Row label={term('field', 'gpu_dollars')}>
            <Quantity name="gpu_dollars_per_hour" value={costs?.gpu_dollars_per_hour} />
          </Row>
          {worst != null && (
            <>
              <Row label={term('field', 'egress_dollars')}>
                <Quantity name="egress_dollars_per_hour" value={costs?.egress_dollars_per_hour} />
              </Row>
              <Row
                label={t('create.bottleneck')}
                note={t('create.bottleneckNote', {
                  share: format.field('utilization_fraction', worst.utilization_fraction),
                  seconds: format.field('exposed_seconds', worst.exposed_seconds),
                })}
              >
                {`${worst.from_zone} → ${worst.to_zone}`}
              </Row>
            </>
          )}
          {start != null && (
            <Row label={t('create.start')} note={t('create.startNote', { count: start.num_starts })}>
              <Quantity name="p50_seconds" value={start.p50_seconds} />
            </Row>
          )}
        </dl>
      )}
      {examined.spanning != null && <Spanning spanning={examined.spanning} />}
      {examined.comparison != null && <Staying comparison={examined.comparison} />}
      <Checks checks={prediction?.checks ?? []} />
      {examined.transfers.map((each) => (
        <p key={each.to_zone} className={classes.note}>
          {t('create.transfer', {
            to: each.to_zone,
            from: each.from_zone,
            size: format.field('size_bytes', each.size_bytes),
            time: format.field('seconds', each.seconds),
            cost: format.field('egress_dollars', each.egress_dollars),
          })}
        </p>
      ))}
      {examined.warnings.length > 0 && (
        <details className={classes.details}>
          <summary>{t('create.warnings', { count: examined.warnings.length })}</summary>
          <ul>
            {examined.warnings.map((warning) => (
              <li key={warning}>{warning}</li>
            ))}
          </ul>
        </details>
      )}
    </div>
  );
}

/** What rules of good practice have against it, and what to do. */
function Checks({ checks }: { checks: readonly Schemas['Check'][] }) {
  const { t } = useTranslation('tasks');
  const format = useFormat();
  const found = checks.filter(({ verdict }) => verdict !== 'pass');
  if (found.length === 0) return null;
  return (
    <details className={classes.details} open data-testid="checks">
      <summary>{t('create.checks', { count: found.length })}</summary>
      <ul>
        {found.map(({ name, message, fix }) => (
          <li key={name}>{format.sentences([message, fix])}</li>
        ))}
      </ul>
    </details>
  );
}

/** What crossing zones costs, in seconds, and what agreeing less often would leave of it. */
function Spanning({ spanning }: { spanning: Schemas['Spanning'] }) {
  const { t } = useTranslation('tasks');
  const term = useTerm();
  const format = useFormat();
  const costs = t('create.spanning', {
    lost: format.field('exposed_seconds', spanning.exposed_seconds),
    step: format.field('step_seconds', spanning.step_seconds),
    from: spanning.from_zone,
    to: spanning.to_zone,
    size: format.field('step_bytes', spanning.step_bytes),
  });
  const rarely = t('create.rarely', {
    every: spanning.local_every,
    step: format.field('step_seconds', spanning.local_step_seconds),
    framework: term('framework', spanning.local_framework ?? ''),
  });
  return (
    <p className={classes.callout} role="note" data-testid="spanning">
      <CircleAlert size={14} aria-hidden />
      <span>{format.sentences(spanning.local_step_seconds == null ? [costs] : [costs, rarely])}</span>
    </p>
  );
}

/** That only some of what was chosen trains, and what all of it would take. */
function Staying({ comparison: { alone, spanning } }: { comparison: Schemas['Comparison'] }) {
  const { t } = useTranslation('tasks');
  const format = useFormat();
  const step = (side: Schemas['Side']) => format.field('step_seconds', side.step_seconds);
  return (
    <p className={classes.callout} role="note" data-testid="staying">
      <CircleAlert size={14} aria-hidden />
      <span>
        {format.sentences([
          t('create.staying.alone', { zone: format.list(alone.zones), gpus: alone.num_gpus, step: step(alone) }),
          t('create.staying.spanning', {
            zones: spanning.zones.length,
            gpus: spanning.num_gpus,
            step: step(spanning),
          }),
        ])}
      </span>
    </p>
  );
}

/** What is wrong and stands at no field of the form. */
function Others({ examined }: { examined: Examined }) {
  const language = useLanguage();
  return examined.others.map((error) => (
    <p key={error.where + error.message} className={classes.callout} data-tone="bad" role="alert">
      <CircleAlert size={14} aria-hidden />
      <span>
        {language === 'zh' ? error.message_zh || error.message : error.message} <span>{error.hint}</span>
      </span>
    </p>
  ));
}

/** The chosen environments; `training`: the only zones of them that train, where that is not all. */
function Chosen({ ids, training }: { ids: readonly string[]; training: readonly string[] | undefined }) {
  const { t } = useTranslation('tasks');
  const { data } = useEnvironments();
  const chosen = ids.flatMap((id) => data?.environments.filter((each) => each.id === id) ?? []);
  return (
    <section className={classes.chosen} aria-label={t('create.chosenList')}>
      <Text size="xs" c="dimmed">
        {t('create.chosenList')}
      </Text>
      <ul>
        {chosen.map(({ id, name, zone, gpu, num_gpus: gpus }) => (
          <li key={id}>
            <span title={name}>{name}</span>
            <code>
              {t(training?.includes(zone) === false ? 'create.idle' : 'create.gpuCount', {
                gpus,
                gpu: gpu ?? t('create.noGpu'),
              })}
            </code>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Row({ label, note, children }: { label: string; note?: ReactNode; children: ReactNode }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>
        <span className={classes.value}>{children}</span>
        {note != null && <span className={classes.rowNote}>{note}</span>}
      </dd>
    </div>
  );
}
