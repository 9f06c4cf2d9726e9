import { ComingSoon } from '@/ui/ComingSoon';

export default function PlanPage() {
  return <ComingSoon />;
}
