import { Layers } from 'lucide-react';

import type { Page } from '@/app/pages';

export const page: Page = {
  path: '/strategy',
  title: { en: 'Strategy', zh: '并行策略' },
  icon: Layers,
  order: 30,
  shortcut: 's',
  looksAtPlan: true,
  load: () => import('./StrategyPage'),
};
