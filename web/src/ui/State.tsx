import { useTerm } from '@/i18n/useLanguage';

import classes from './State.module.css';

const TONES: Record<string, string> = {
  running: 'good',
  succeeded: 'good',
  healthy: 'good',
  fine: 'good',
  failed: 'bad',
  died: 'bad',
  restarted: 'warn',
  faulty: 'bad',
  unreachable: 'bad',
  critical: 'bad',
  recovering: 'warn',
  unseen: 'warn',
  warning: 'warn',
  starting: 'busy',
  preflight: 'busy',
  deployed: 'busy',
  validated: 'busy',
};

/** How something stands, as a word and a dot; `kind` says which words: state, status, health. */
export function State({ kind, value }: { kind: string; value: string }) {
  const term = useTerm();
  return (
    <span className={classes.state} data-tone={TONES[value] ?? 'none'} data-state={value}>
      {term(kind, value)}
    </span>
  );
}
