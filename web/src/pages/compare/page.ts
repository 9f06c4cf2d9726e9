import { Scale } from 'lucide-react';

import type { Page } from '@/app/pages';

export const page: Page = {
  path: '/compare',
  title: { en: 'Compare', zh: '对比' },
  icon: Scale,
  order: 90,
  shortcut: 'o',
  looksAtPlan: true,
  load: () => import('./ComparePage'),
};
