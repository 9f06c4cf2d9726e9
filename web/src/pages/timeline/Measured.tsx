import { NativeSelect } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useTranslation } from 'react-i18next';
import { useSearchParams } from 'react-router';

import { answer, api, type Schemas } from '@/api/client';
import { useFormat } from '@/i18n/useLanguage';

import classes from './Measured.module.css';

const MOST_RUNS = 100;
const PARAMETER = 'run';

/** The step of the run that the address names, as it was measured. */
export function useMeasured() {
  const [params] = useSearchParams();
  const run_id = params.get(PARAMETER) ?? '';
  return useQuery({
    queryKey: ['runs', run_id, 'timeline'],
    queryFn: () => answer(api.GET('/api/v1/runs/{run_id}/timeline', { params: { path: { run_id } } })),
    enabled: run_id !== '',
    staleTime: Infinity, // a run never changes
  });
}

/** Which run is drawn below the prediction; nothing where none was measured. */
export function MeasuredChoice() {
  const { t } = useTranslation('timeline');
  const format = useFormat();
  const [params, setParams] = useSearchParams();
  const { data } = useQuery({
    queryKey: ['runs', 'measured'],
    queryFn: () => answer(api.GET('/api/v1/runs', { params: { query: { kind: ['measured'], limit: MOST_RUNS } } })),
  });
  const runs = data?.runs ?? [];
  if (runs.length === 0) return null;
  return (
    <NativeSelect
      aria-label={t('measured.choose')}
      value={params.get(PARAMETER) ?? ''}
      data={[
        { value: '', label: t('measured.none') },
        ...runs.map((run) => ({ value: run.id, label: `${run.name} · ${format.moment(run.created_seconds)}` })),
      ]}
      onChange={(event) => {
        const chosen = event.currentTarget.value;
        setParams(
          (before) => {
            const next = new URLSearchParams(before);
            if (chosen === '') next.delete(PARAMETER);
            else next.set(PARAMETER, chosen);
            return next;
          },
          { replace: true },
        );
      }}
    />
  );
}

interface NoteProps {
  measured: Schemas['MeasuredTimeline'];
  simulation: Schemas['Simulation'];
}

/** How long the measured step was beside the predicted one, and whether the two are of one plan. */
export function MeasuredNote({ measured, simulation }: NoteProps) {
  const { t } = useTranslation('timeline');
  const format = useFormat();
  return (
    <p className={classes.measured} role="note" data-testid="measured">
      {t('measured.step', {
        name: measured.name,
        device: measured.device,
        step: format.field('step_seconds', measured.step_seconds),
        low: format.field('low_seconds', measured.low_seconds),
        high: format.field('high_seconds', measured.high_seconds),
        count: measured.num_steps,
        predicted: format.field('step_seconds', simulation.step_seconds),
      })}{' '}
      {measured.fingerprint !== simulation.fingerprint && t('measured.other')}
    </p>
  );
}
