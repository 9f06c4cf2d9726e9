import { BadgeCheck } from 'lucide-react';

import type { Page } from '@/app/pages';

export const page: Page = {
  path: '/validation',
  title: { en: 'Validation', zh: '准确度' },
  icon: BadgeCheck,
  order: 100,
  shortcut: 'v',
  load: () => import('./ValidationPage'),
};
