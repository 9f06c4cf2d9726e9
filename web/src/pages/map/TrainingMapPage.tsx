import { ComingSoon } from '@/ui/ComingSoon';

export default function TrainingMapPage() {
  return <ComingSoon />;
}
