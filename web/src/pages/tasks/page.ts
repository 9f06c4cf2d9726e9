import { ListChecks } from 'lucide-react';

import type { Page } from '@/app/pages';

export const page: Page = {
  path: '/tasks',
  title: { en: 'Tasks', zh: '训练任务' },
  icon: ListChecks,
  order: 70,
  shortcut: 'k',
  more: '/:id',
  also: { '/training': '/tasks', '/training/create': '/tasks/create' },
  load: () => import('./TasksPage'),
};
