import { CircleHelp } from 'lucide-react';

import type { Page } from '@/app/pages';

export const page: Page = {
  path: '/help',
  title: { en: 'Help', zh: '帮助' },
  icon: CircleHelp,
  order: 120,
  shortcut: 'h',
  load: () => import('./HelpPage'),
};
