import { ComingSoon } from '@/ui/ComingSoon';

export default function CatalogPage() {
  return <ComingSoon />;
}
