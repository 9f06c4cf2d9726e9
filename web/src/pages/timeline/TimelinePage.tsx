import { ComingSoon } from '@/ui/ComingSoon';

export default function TimelinePage() {
  return <ComingSoon />;
}
