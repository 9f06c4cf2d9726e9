import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat } from '@/i18n/useLanguage';
import type { Meaning } from '@/theme/palette';

import classes from './Strategy.module.css';

type Prediction = Schemas['Prediction'];

export interface Contender {
  key: string;
  name: string;
  meaning: Meaning;
  dash: string;
  prediction: Prediction | null;
}

export interface Axis {
  /** Of the API, so that its unit is known. */
  name: string;
  value: (prediction: Prediction) => number | null | undefined;
  isMoreBetter: boolean;
}

export const AXES: readonly Axis[] = [
  { name: 'step_seconds', value: (one) => one.step_seconds, isMoreBetter: false },
  { name: 'mfu', value: (one) => one.mfu, isMoreBetter: true },
  { name: 'exposed_communication_fraction', value: (one) => one.exposed_communication_fraction, isMoreBetter: false },
  { name: 'peak_bytes', value: (one) => one.memory.peak_bytes, isMoreBetter: false },
  { name: 'total_dollars', value: (one) => one.costs?.total_dollars, isMoreBetter: false },
  { name: 'expected_num_failures', value: (one) => one.reliability?.expected_num_failures, isMoreBetter: false },
  { name: 'energy_joules', value: (one) => one.energy_joules, isMoreBetter: false },
];

/** Axes of which every contender knows its value; the others would be drawn as worst. */
export function knownAxes(contenders: readonly Contender[]): readonly Axis[] {
  const shown = contenders.flatMap(({ prediction }) => (prediction == null ? [] : [prediction]));
  return AXES.filter(({ value }) => shown.every((prediction) => value(prediction) != null));
}

const SIZE = 150;
const RINGS = [0.25, 0.5, 0.75, 1];

/** Contenders in several axes at once: outside is the best of them, half way in is half as good. */
export function Radar({ contenders }: { contenders: readonly Contender[] }) {
  const { t } = useTranslation('strategy');
  const format = useFormat();
  const axes = knownAxes(contenders);
  const shown = contenders.filter(({ prediction }) => prediction != null);
  return (
    <svg className={classes.radar} viewBox="-235 -185 470 370" role="img" aria-label={t('radar.label')}>
      {RINGS.map((ring) => (
        <polygon key={ring} points={outline(axes.map(() => ring))} fill="none" stroke="var(--cz-line)" />
      ))}
      {axes.map((axis, index) => {
        const [x, y] = place(index, axes.length, 1);
        const [textX, textY] = place(index, axes.length, 1.12);
        const best = bestOf(axis, shown);
        return (
          <g key={axis.name}>
            <line x1={0} y1={0} x2={x} y2={y} stroke="var(--cz-line)" />
            <text x={textX} y={textY} textAnchor={Math.abs(textX) < 20 ? 'middle' : textX > 0 ? 'start' : 'end'}>
              <tspan fontWeight={560}>{t(`field.${axis.name}`)}</tspan>
              <tspan x={textX} dy={13} fill="var(--mantine-color-dimmed)">
                {format.field(axis.name, best)}
              </tspan>
            </text>
          </g>
        );
      })}
      {shown.map(({ key, meaning, dash, prediction }) => (
        <polygon
          key={key}
          points={outline(
            axes.map((axis) => goodness(axis, axis.value(prediction as Prediction), bestOf(axis, shown))),
          )}
          fill={`color-mix(in srgb, var(--cz-${meaning}) 7%, transparent)`}
          stroke={`var(--cz-${meaning})`}
          strokeWidth={1.75}
          strokeDasharray={dash}
          strokeLinejoin="round"
        />
      ))}
    </svg>
  );
}

function bestOf(axis: Axis, shown: readonly Contender[]): number {
  const values = shown.map(({ prediction }) => axis.value(prediction as Prediction) ?? 0);
  return axis.isMoreBetter ? Math.max(...values) : Math.min(...values);
}

/** How far out a value is drawn, from 0 to 1. */
export function goodness(axis: Axis, value: number | null | undefined, best: number): number {
  if (value == null) return 0;
  if (value === best) return 1;
  return axis.isMoreBetter ? value / best : best / value;
}

function place(index: number, count: number, radius: number): [number, number] {
  const angle = (2 * Math.PI * index) / count - Math.PI / 2;
  return [SIZE * radius * Math.cos(angle), SIZE * radius * Math.sin(angle)];
}

function outline(radii: readonly number[]): string {
  return radii.map((radius, index) => place(index, radii.length, radius).join(',')).join(' ');
}
