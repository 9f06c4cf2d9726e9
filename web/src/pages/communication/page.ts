import { Network } from 'lucide-react';

import type { Page } from '@/app/pages';

export const page: Page = {
  path: '/communication',
  title: { en: 'Communication', zh: '通信分析' },
  icon: Network,
  order: 40,
  shortcut: 'c',
  looksAtPlan: true,
  load: () => import('./CommunicationPage'),
};
