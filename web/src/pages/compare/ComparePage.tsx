import { ComingSoon } from '@/ui/ComingSoon';

export default function ComparePage() {
  return <ComingSoon />;
}
