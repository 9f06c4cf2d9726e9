import { ChartGantt } from 'lucide-react';

import type { Page } from '@/app/pages';

export const page: Page = {
  path: '/timeline',
  title: { en: 'Timeline', zh: '时间线' },
  icon: ChartGantt,
  order: 50,
  shortcut: 't',
  looksAtPlan: true,
  load: () => import('./TimelinePage'),
};
