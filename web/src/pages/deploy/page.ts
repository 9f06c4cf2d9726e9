import { Rocket } from 'lucide-react';

import type { Page } from '@/app/pages';

export const page: Page = {
  path: '/deploy',
  title: { en: 'Deploy', zh: '部署代码' },
  icon: Rocket,
  order: 60,
  shortcut: 'd',
  looksAtPlan: true,
  load: () => import('./DeployPage'),
};
