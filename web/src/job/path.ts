/** Values deep in a job, which is never changed but copied along the way to the change. */
export type Path = readonly (string | number)[];
export type Job = Readonly<Record<string, unknown>>;

export function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (inner, key) => (inner as Record<string | number, unknown> | null | undefined)?.[key],
    value,
  );
}

/** The same with `next` at `path`; undefined takes the key, or the item of a list, away. */
export function withValue(value: unknown, path: Path, next: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return next;
  const inner = rest.length === 0 ? next : withValue(valueAt(value, [key]), rest, next);
  if (typeof key === 'number') {
    const list = Array.isArray(value) ? [...(value as unknown[])] : [];
    if (inner === undefined) list.splice(key, 1);
    else list[key] = inner;
    return list;
  }
  const entries = Object.entries((value ?? {}) as Record<string, unknown>);
  if (inner === undefined) return Object.fromEntries(entries.filter(([name]) => name !== key));
  return { ...Object.fromEntries(entries), [key]: inner };
}

/** "cluster.zones[1].nodes[0].gpu", as the server names places. */
export function placeOf(path: Path): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${String(part)}]` : `.${part}`))
    .join('')
    .replace(/^\./, '');
}
