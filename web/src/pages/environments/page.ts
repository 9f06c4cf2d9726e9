import { Server } from 'lucide-react';

import type { Page } from '@/app/pages';

export const page: Page = {
  path: '/environments',
  title: { en: 'Environments', zh: '开发环境' },
  icon: Server,
  order: 80,
  shortcut: 'e',
  load: () => import('./EnvironmentsPage'),
};
