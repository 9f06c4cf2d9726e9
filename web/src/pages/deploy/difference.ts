/** How a text differs from the one before it, line by line. */
export interface DiffLine {
  kind: 'same' | 'added' | 'removed';
  text: string;
}

const MOST_CELLS = 4_000_000;

/** The lines of both, each once where they agree: a longest common subsequence. Too long ones differ as a whole. */
export function difference(before: string, after: string): DiffLine[] {
  const [old, now] = [before.split('\n'), after.split('\n')];
  let start = 0;
  while (start < Math.min(old.length, now.length) && old[start] === now[start]) start += 1;
  let end = 0;
  while (end < Math.min(old.length, now.length) - start && old.at(-1 - end) === now.at(-1 - end)) end += 1;
  const same = (lines: string[]) => lines.map((text): DiffLine => ({ kind: 'same', text }));
  const middle = between(old.slice(start, old.length - end), now.slice(start, now.length - end));
  return [...same(now.slice(0, start)), ...middle, ...same(now.slice(now.length - end))];
}

function between(old: string[], now: string[]): DiffLine[] {
  const found: DiffLine[] = [];
  const width = now.length + 1;
  if (old.length * now.length > MOST_CELLS) {
    return [
      ...old.map((text): DiffLine => ({ kind: 'removed', text })),
      ...now.map((text): DiffLine => ({ kind: 'added', text })),
    ];
  }
  const lengths = new Uint32Array((old.length + 1) * width); // of the common part behind each pair of places
  const at = (row: number, column: number) => lengths[row * width + column] ?? 0;
  for (let row = old.length - 1; row >= 0; row -= 1) {
    for (let column = now.length - 1; column >= 0; column -= 1) {
      lengths[row * width + column] =
        old[row] === now[column] ? at(row + 1, column + 1) + 1 : Math.max(at(row + 1, column), at(row, column + 1));
    }
  }
  let [row, column] = [0, 0];
  while (row < old.length || column < now.length) {
    const [left, right] = [old[row], now[column]];
    if (left != null && left === right) {
      found.push({ kind: 'same', text: left });
      row += 1;
      column += 1;
    } else if (left != null && (right == null || at(row + 1, column) >= at(row, column + 1))) {
      found.push({ kind: 'removed', text: left });
      row += 1;
    } else {
      found.push({ kind: 'added', text: right ?? '' });
      column += 1;
    }
  }
  return found;
}
