import { useTranslation } from 'react-i18next';

import { Empty } from './Empty';
import { PageHeader } from './PageHeader';

/** A page that is not there yet. */
export function ComingSoon() {
  const { t } = useTranslation('ui');
  return (
    <>
      <PageHeader />
      <Empty title={t('soon.title')}>{t('soon.why')}</Empty>
    </>
  );
}
