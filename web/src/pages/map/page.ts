import { Map as MapIcon } from 'lucide-react';

import type { Page } from '@/app/pages';

export const page: Page = {
  path: '/map',
  title: { en: 'Map', zh: '训练地图' },
  icon: MapIcon,
  order: 20,
  shortcut: 'm',
  more: '/:zone/:node?/:gpu?',
  looksAtPlan: true,
  load: () => import('./TrainingMapPage'),
};
