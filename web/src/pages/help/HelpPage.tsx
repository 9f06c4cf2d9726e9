import { ComingSoon } from '@/ui/ComingSoon';

export default function HelpPage() {
  return <ComingSoon />;
}
