import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat, useTerm } from '@/i18n/useLanguage';
import { MEMORY_PARTS } from '@/theme/palette';

import { StackedBar } from './StackedBar';

type Stage = Schemas['StageMemory'];

/** What the fullest rank of a stage holds, part by part, up to the memory of its GPU; `total` bytes are the whole width. */
export function StageBar({ stage, total }: { stage: Stage; total: number }) {
  const term = useTerm();
  const reading = useMemoryReading();
  const parts = MEMORY_PARTS.map(([name, meaning]) => ({
    ...{ key: name, label: term('memory', name), meaning, value: stage[name] },
  }));
  const shown = { parts, total, limit: stage.capacity_bytes };
  return (
    <StackedBar label={reading(stage.total_bytes, stage.capacity_bytes)} name="total_bytes" height={14} {...shown} />
  );
}

/** What is needed of the memory of a GPU, in words. */
export function useMemoryReading() {
  const { t } = useTranslation('ui');
  const format = useFormat();
  return (total_bytes: number, capacity_bytes: number) =>
    t('memory.of', {
      total: format.field('total_bytes', total_bytes),
      capacity: format.field('capacity_bytes', capacity_bytes),
    });
}
