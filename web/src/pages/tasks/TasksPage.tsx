import { ComingSoon } from '@/ui/ComingSoon';

export default function TasksPage() {
  return <ComingSoon />;
}
