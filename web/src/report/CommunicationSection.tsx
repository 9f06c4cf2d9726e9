import { Analysis } from '@/pages/communication/Analysis';
import { useWhatIf } from '@/pages/communication/useWhatIf';

const AS_IT_IS = {};

/** What ranks send each other, and what of it the step waits for. */
export function CommunicationSection() {
  return <Analysis tried={useWhatIf(AS_IT_IS)} />;
}
