import { Badge, Button, Checkbox, Group, Skeleton, Text } from '@mantine/core';
import { Clock, Cpu, HardDrive, MapPin } from 'lucide-react';
import { useRef } from 'react';
import { useTranslation } from 'react-i18next';

import { useFormat } from '@/i18n/useLanguage';
import { InventoryFilters } from '@/inventory/InventoryFilters';
import { useEnvironments, useNarrowing, type Environment } from '@/inventory/useEnvironments';
import { Empty } from '@/ui/Empty';
import { Panel } from '@/ui/Panel';
import { ProblemPanel } from '@/ui/ProblemPanel';
import { State } from '@/ui/State';

import { between } from './draft';
import classes from './EnvironmentCards.module.css';

interface Props {
  chosen: readonly string[];
  /** Whom the others meet at; shown where several are chosen. */
  mainNode: string | undefined;
  error: string | null;
  onChoose: (ids: readonly string[]) => void;
}

/** The inventory as cards, zone by zone: a click anywhere on one chooses it, with shift all up to it. */
export function EnvironmentCards({ chosen, mainNode, error, onChoose }: Props) {
  const { t } = useTranslation('tasks');
  const narrowing = useNarrowing();
  const { data, isPending, error: problem, refetch } = useEnvironments(narrowing);
  const last = useRef('');
  const shown = data?.environments ?? [];
  const zones = [...new Set(shown.map(({ zone }) => zone))];
  const ordered = zones.flatMap((zone) => shown.filter((each) => each.zone === zone));

  const toggle = (id: string, isRange: boolean) => {
    const isOn = chosen.includes(id);
    const meant = isRange ? between(ordered, last.current, id) : [id];
    onChoose(isOn ? chosen.filter((each) => !meant.includes(each)) : [...new Set([...chosen, ...meant])]);
    last.current = id;
  };
  return (
    <Panel title={t('create.environments')} note={t('create.chosen', { count: chosen.length })}>
      <InventoryFilters narrowing={narrowing} />
      {error != null && (
        <Text role="alert" size="sm" className={classes.error} mt="xs">
          {error}
        </Text>
      )}
      {problem != null && <ProblemPanel problem={problem} onRetry={() => void refetch()} />}
      {isPending && <Skeleton height={320} mt="md" />}
      {data != null && shown.length === 0 && <Nothing isNarrow={narrowing.isNarrow} />}
      {zones.map((zone) => {
        const here = shown.filter((each) => each.zone === zone);
        const total = data?.totals.zones.find((each) => each.zone === zone);
        const isAll = here.every(({ id }) => chosen.includes(id));
        const ids = here.map(({ id }) => id);
        return (
          <section key={zone} aria-label={zone} className={classes.zone}>
            <Group justify="space-between" className={classes.zoneHead}>
              <Text fw={560} size="sm">
                {zone}{' '}
                <Text span c="dimmed" size="xs">
                  {t('create.zoneTotal', { gpus: total?.num_gpus, count: total?.num_environments ?? 0 })}
                </Text>
              </Text>
              <Button
                variant="subtle"
                size="compact-xs"
                onClick={() => {
                  onChoose(isAll ? chosen.filter((id) => !ids.includes(id)) : [...new Set([...chosen, ...ids])]);
                }}
              >
                {t(isAll ? 'create.chooseNone' : 'create.chooseZone')}
              </Button>
            </Group>
            <div className={classes.cards}>
              {here.map((each) => (
                <Card
                  key={each.id}
                  environment={each}
                  isChosen={chosen.includes(each.id)}
                  isMain={chosen.length > 1 && each.id === mainNode}
                  onToggle={toggle}
                />
              ))}
            </div>
          </section>
        );
      })}
    </Panel>
  );
}

interface CardProps {
  environment: Environment;
  isChosen: boolean;
  isMain: boolean;
  onToggle: (id: string, isRange: boolean) => void;
}

/** One label around one checkbox: who clicks anywhere on it clicks the checkbox, once. */
function Card({ environment, isChosen, isMain, onToggle }: CardProps) {
  const { t } = useTranslation('tasks');
  const format = useFormat();
  const { id, name, kind, status, image, gpu, num_gpus: gpus } = environment;
  return (
    <label className={classes.card} data-chosen={isChosen} htmlFor={`choose-${id}`}>
      <Checkbox
        id={`choose-${id}`}
        size="xs"
        checked={isChosen}
        aria-label={name}
        onChange={(event) => {
          onToggle(id, (event.nativeEvent as MouseEvent).shiftKey);
        }}
      />
      <span className={classes.body}>
        <span className={classes.name}>
          <b title={name}>{name}</b>
          {isMain && (
            <Badge size="sm" color="orange" variant="light" tt="none">
              {t('create.mainNode')}
            </Badge>
          )}
        </span>
        <span className={classes.tags}>
          <Badge size="sm" variant="default" tt="none">
            {kind}
          </Badge>
          <State kind="status" value={status} />
        </span>
        <span className={classes.facts}>
          <span title={t('create.gpus')}>
            <Cpu size={13} aria-hidden />
            <b>{t('create.gpuCount', { gpus, gpu: gpu ?? t('create.noGpu') })}</b>
          </span>
          <span title={t('create.uptime')}>
            <Clock size={13} aria-hidden />
            {format.since(environment.started_seconds)}
          </span>
          <span title={t('create.zone')}>
            <MapPin size={13} aria-hidden />
            {environment.zone}
          </span>
          <span title={t('create.image')}>
            <HardDrive size={13} aria-hidden />
            {image ?? t('create.noImage')}
          </span>
        </span>
      </span>
    </label>
  );
}

function Nothing({ isNarrow }: { isNarrow: boolean }) {
  const { t } = useTranslation('inventory');
  const about = isNarrow ? 'nothing' : 'empty';
  return <Empty title={t(`${about}.title`)}>{t(`${about}.why`)}</Empty>;
}
