import { ComingSoon } from '@/ui/ComingSoon';

export default function ValidationPage() {
  return <ComingSoon />;
}
