import { useElementSize } from '@mantine/hooks';
import { useEffect, useRef, type PointerEvent } from 'react';
import { useTranslation } from 'react-i18next';

import { usePalette } from '@/theme/usePalette';

import type { Scene } from './scene';
import classes from './Timeline.module.css';
import type { Move, Span } from './useView';

const HEIGHT = 34;

interface Props {
  scene: Scene;
  span: Span;
  onMove: (move: Move) => void;
}

/** How many of the stages work, over the whole step; what is in sight of it is marked, and moves with the pointer. */
export function Overview({ scene, span, onMove }: Props) {
  const { t } = useTranslation('timeline');
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
    shares(scene, canvas.current.width).forEach((share, column) => {
      const tall = share * HEIGHT * scale;
      context.fillRect(column, HEIGHT * scale - tall, 1, tall);
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

/** Of each of equal parts of the step: the share of the stages' time that is filled. */
export function shares(scene: Scene, columns: number): Float32Array {
  const lanes = scene.lanes.filter(({ track, depth }) => track.stream === 'compute' && depth === 0);
  const filled = new Float32Array(columns);
  const perSecond = columns / (scene.endSeconds - scene.startSeconds);
  for (const { starts, ends, slices } of lanes) {
    for (let index = 0; index < starts.length; index += 1) {
      const left = ((starts[index] ?? 0) - scene.startSeconds) * perSecond;
      const right = Math.min(((ends[index] ?? 0) - scene.startSeconds) * perSecond, columns);
      const strength = (slices[index]?.busy_fraction ?? 1) / lanes.length;
      for (let column = Math.floor(left); column < right; column += 1) {
        filled[column] = (filled[column] ?? 0) + strength * (Math.min(right, column + 1) - Math.max(left, column));
      }
    }
  }
  return filled;
}
