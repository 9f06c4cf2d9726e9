import { SegmentedControl, Text } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useParams } from 'react-router';

import type { Schemas } from '@/api/client';
import type { RankedPlan } from '@/job/useAnswer';
import { Empty } from '@/ui/Empty';
import { Loading } from '@/ui/Loading';
import { Panel } from '@/ui/Panel';

import { GpuPanel } from './GpuPanel';
import { NodeCard } from './NodeCard';
import { AXES, nodeName, splitAxes, type Axis } from './ranks';
import classes from './ZoneView.module.css';
import viewClasses from './Views.module.css';

interface Props {
  name: string;
  held: Schemas['ZonePlace'] | undefined;
  ranked: RankedPlan | undefined;
  isStale: boolean;
  isWaiting: boolean;
}

/** The nodes of one zone, or one of them, and the place of each GPU in the grid of ranks. */
export function ZoneView({ name, held, ranked, isStale, isWaiting }: Props) {
  const { t } = useTranslation('map');
  const { node, gpu } = useParams();
  const [wanted, setAxis] = useState<Axis | null>(null);
  if (held == null || held.nodes.length === 0) {
    return isWaiting ? <Loading height={480} /> : <Empty title={t('zone.unknown', { zone: name })} />;
  }
  const axes = ranked == null ? AXES : splitAxes(ranked.plan);
  const axis = wanted ?? axes[0] ?? 'pp';
  // With a GPU chosen the other nodes stay in sight: ranks of its groups are in them.
  const nodes = node == null || gpu != null ? held.nodes : held.nodes.filter((each) => nodeName(each) === node);
  const all = held.nodes.flatMap(({ gpus }) => gpus);
  const chosen = held.nodes.find((each) => nodeName(each) === node)?.gpus.find((each) => String(each.gpu) === gpu);
  const aside = (
    <SegmentedControl
      aria-label={t('zone.colour')}
      value={axis}
      onChange={(value) => {
        setAxis(value as Axis);
      }}
      data={axes.map((value) => ({ value, label: value.toUpperCase() }))}
    />
  );
  const title = t('zone.title', { zone: name, working: held.num_working_gpus, count: held.num_gpus });
  return (
    <div className={viewClasses.split}>
      <Panel title={title} isStale={isStale} aside={aside}>
        <Text size="xs" c="dimmed" mb="sm">
          {t('zone.cells', { stages: held.stages.join(', '), gpus: held.gpus.join(', ') })}
        </Text>
        <div className={classes.nodes} data-single={nodes.length === 1}>
          {nodes.map((each) => (
            <NodeCard key={nodeName(each)} zone={name} node={each} axis={axis} axes={axes} all={all} chosen={chosen} />
          ))}
        </div>
      </Panel>
      <GpuPanel gpu={chosen} prediction={ranked?.prediction} isStale={isStale} />
    </div>
  );
}
