import { useTranslation } from 'react-i18next';
import { Link, useLocation } from 'react-router';

import { Empty } from '@/ui/Empty';

export function NotFound() {
  const { t } = useTranslation('shell');
  const { pathname } = useLocation();
  return (
    <Empty title={t('notFound.title', { path: pathname })}>
      <Link to="/plan">{t('notFound.back')}</Link>
    </Empty>
  );
}
