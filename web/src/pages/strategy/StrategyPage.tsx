import { ComingSoon } from '@/ui/ComingSoon';

export default function StrategyPage() {
  return <ComingSoon />;
}
