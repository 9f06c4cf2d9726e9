import { SlidersHorizontal } from 'lucide-react';

import type { Page } from '@/app/pages';

export const page: Page = {
  path: '/plan',
  title: { en: 'Plan', zh: '规划' },
  icon: SlidersHorizontal,
  order: 10,
  shortcut: 'p',
  looksAtPlan: true,
  load: () => import('./PlanPage'),
};
