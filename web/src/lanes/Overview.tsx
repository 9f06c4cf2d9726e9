import { useElementSize } from '@mantine/hooks';
import { useEffect, useRef, type PointerEvent } from 'react';
import { useTranslation } from 'react-i18next';

import { usePalette } from '@/theme/usePalette';

import type { Lane, Scene } from './scene';
import classes from './Timeline.module.css';
import type { Move, Span } from './useView';

const HEIGHT = 34;

interface Props {
  scene: Scene;
  span: Span;
  onMove: (move: Move) => void;
}

/** How many of the stages of each step work, over the whole time; what is in sight of it is marked, and moves with the pointer. */
export function Overview({ scene, span, onMove }: Props) {
  const { t } = useTranslation('lanes');
  const { ref, width } = useElementSize<HTMLDivElement>();
  const canvas = useRef<HTMLCanvasElement>(null);
  const { palette } = usePalette();
  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (canvas.current == null || context == null || width === 0) return;
    const scale = devicePixelRatio;
    canvas.current.width = Math.round(width * scale);
    canvas.current.height = Math.round(HEIGHT * scale);
    context.fillStyle = palette.compute;
    const bands = bandsOf(scene, canvas.current.width);
    const height = (HEIGHT * scale) / bands.length;
    bands.forEach((band, row) => {
      band.forEach((share, column) => {
        const tall = share * (bands.length === 1 ? height : height - 1);
        context.fillRect(column, (row + 1) * height - tall, 1, tall);
      });
    });
  }, [scene, width, palette]);

  const total = scene.endSeconds - scene.startSeconds;
  const percent = (seconds: number) => `${String((100 * (seconds - scene.startSeconds)) / total)}%`;
  const moveTo = (event: PointerEvent) => {
    const bounds = event.currentTarget.getBoundingClientRect();
    const middle = scene.startSeconds + ((event.clientX - bounds.left) / bounds.width) * total;
    const half = (span.endSeconds - span.startSeconds) / 2;
    onMove({ kind: 'show', span: { startSeconds: middle - half, endSeconds: middle + half } });
  };
  return (
    <div className={classes.overviewRow}>
      <span className={classes.overviewName}>{t('overview')}</span>
      <div
        ref={ref}
        className={classes.overview}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          moveTo(event);
        }}
        onPointerMove={(event) => {
          if (event.buttons === 1) moveTo(event);
        }}
      >
        <canvas ref={canvas} style={{ width, height: HEIGHT, display: 'block' }} aria-hidden />
        <div
          className={classes.window}
          style={{ left: percent(span.startSeconds), right: `calc(100% - ${percent(span.endSeconds)})` }}
        />
      </div>
    </div>
  );
}

/** For each step that has stages, and each of equal parts of the time: the share of the stages' time that is filled. */
export function bandsOf(scene: Scene, columns: number): Float32Array[] {
  return scene.steps.flatMap((_, step) => {
    const lanes = scene.groups.filter((group) => group.step === step).flatMap((group) => group.lanes);
    const stages = lanes.filter(({ track, depth }) => track.stream === 'compute' && depth === 0);
    return stages.length === 0 ? [] : [shares(scene, stages, columns)];
  });
}

function shares(whole: Span, lanes: readonly Lane[], columns: number): Float32Array {
  const filled = new Float32Array(columns);
  const perSecond = columns / (whole.endSeconds - whole.startSeconds);
  for (const { starts, ends, slices } of lanes) {
    for (let index = 0; index < starts.length; index += 1) {
      const left = ((starts[index] ?? 0) - whole.startSeconds) * perSecond;
      const right = Math.min(((ends[index] ?? 0) - whole.startSeconds) * perSecond, columns);
      const strength = (slices[index]?.busy_fraction ?? 1) / lanes.length;
      for (let column = Math.floor(left); column < right; column += 1) {
        filled[column] = (filled[column] ?? 0) + strength * (Math.min(right, column + 1) - Math.max(left, column));
      }
    }
  }
  return filled;
}
