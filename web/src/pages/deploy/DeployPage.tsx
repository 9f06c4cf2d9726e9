import { ComingSoon } from '@/ui/ComingSoon';

export default function DeployPage() {
  return <ComingSoon />;
}
