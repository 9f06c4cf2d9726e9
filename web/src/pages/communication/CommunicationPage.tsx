import { ComingSoon } from '@/ui/ComingSoon';

export default function CommunicationPage() {
  return <ComingSoon />;
}
