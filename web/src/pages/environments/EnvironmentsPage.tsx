import { ComingSoon } from '@/ui/ComingSoon';

export default function EnvironmentsPage() {
  return <ComingSoon />;
}
