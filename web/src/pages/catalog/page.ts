import { Library } from 'lucide-react';

import type { Page } from '@/app/pages';

export const page: Page = {
  path: '/catalog',
  title: { en: 'Catalog', zh: '目录' },
  icon: Library,
  order: 110,
  shortcut: 'l',
  more: '/:kind',
  load: () => import('./CatalogPage'),
};
