import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';

import { nodePath } from './Breadcrumb';
import classes from './NodeCard.module.css';
import { coordinate, groupOf, nodeName, strength, type Axis, type Gpu, type Node } from './ranks';

interface Props {
  zone: string;
  node: Node;
  axis: Axis;
  /** That a place is told along. */
  axes: readonly Axis[];
  /** GPUs of the zone: what colours tell apart. */
  all: readonly Gpu[];
  chosen: Gpu | undefined;
}

/** A node with its GPUs; with one chosen, the others of its groups are outlined in the colour of their group. */
export function NodeCard({ zone, node, axis, axes, all, chosen }: Props) {
  const { t } = useTranslation('map');
  const name = nodeName(node);
  return (
    <section className={classes.node} aria-label={t('crumb.node', { node: name })}>
      <header className={classes.head}>
        <Link to={nodePath(zone, name)} className={classes.title}>
          {t('crumb.node', { node: name })}
        </Link>
        <span className={classes.address}>{node.address ?? node.gpu}</span>
      </header>
      <ol className={classes.gpus}>
        {node.gpus.map((gpu) => (
          <li key={gpu.gpu}>
            <Cell
              gpu={gpu}
              to={`${nodePath(zone, name)}/${String(gpu.gpu)}`}
              axis={axis}
              axes={axes}
              all={all}
              chosen={chosen}
            />
          </li>
        ))}
      </ol>
    </section>
  );
}

interface CellProps {
  gpu: Gpu;
  to: string;
  axis: Axis;
  /** That a place is told along. */
  axes: readonly Axis[];
  all: readonly Gpu[];
  chosen: Gpu | undefined;
}

function Cell({ gpu, to, axis, axes, all, chosen }: CellProps) {
  const { t } = useTranslation('map');
  const depth = strength(gpu, axis, all);
  const group = chosen == null ? null : groupOf(chosen, gpu);
  const background =
    depth == null ? undefined : `color-mix(in srgb, var(--cz-${axis}) ${String(100 * depth)}%, var(--cz-surface))`;
  const outline = group == null ? undefined : `2px solid var(--cz-${group})`;
  const label = gpu.rank == null ? t('gpu.idle') : t('gpu.cell', { rank: gpu.rank, coordinate: coordinate(gpu, axes) });
  return (
    <Link
      to={to}
      className={classes.cell}
      style={{ background, outline }}
      aria-label={`GPU ${String(gpu.gpu)}: ${label}`}
      aria-current={chosen != null && chosen.rank === gpu.rank && gpu.rank != null ? 'true' : undefined}
      data-idle={gpu.rank == null}
      data-rank={gpu.rank}
    >
      <span className={classes.rank}>{gpu.rank ?? '–'}</span>
      <span className={classes.place}>{gpu.rank == null ? t('gpu.idle') : coordinate(gpu, axes)}</span>
    </Link>
  );
}
