import type { Meaning } from '@/theme/palette';

/** The colour of a meaning beside its name. */
export function Swatch({ meaning }: { meaning: Meaning }) {
  const style = { background: `var(--cz-${meaning})`, width: 9, height: 9, borderRadius: 2 };
  return <span aria-hidden style={{ display: 'inline-block', flex: 'none', marginRight: 7, ...style }} />;
}
