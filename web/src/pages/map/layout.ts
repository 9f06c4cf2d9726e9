/** Where zones and links are drawn: arithmetic of the drawing, of no result. */

export interface Place {
  x: number;
  y: number;
}

/** What of the drawing is seen: a point is shown at `scale` times its place, moved by `x` and `y`. */
export interface View extends Place {
  scale: number;
}

export interface Size {
  width: number;
  height: number;
}

/** Pixels between the middle of a place and each of several zones that are there. */
const APART = 26;
const MARGIN = 90;
const RING = 240;
/** Of its length, by which a link bends. */
const BEND = 0.2;

/** Zones on a ring, in the order of the job, the first on the left: two stand side by side. */
export function ring(count: number): Place[] {
  return Array.from({ length: count }, (_, index) => {
    const angle = Math.PI + (2 * Math.PI * index) / Math.max(count, 1);
    return { x: 500 + 1.6 * RING * Math.cos(angle), y: 260 + RING * Math.sin(angle) };
  });
}

/** How far each is moved, in pixels at any zoom, so that none lies on another. */
export function spread(places: readonly Place[]): Place[] {
  const key = ({ x, y }: Place) => `${String(Math.round(x))},${String(Math.round(y))}`;
  const at = new Map<string, number[]>();
  places.forEach((place, index) => at.set(key(place), [...(at.get(key(place)) ?? []), index]));
  return places.map((place, index) => {
    const here = at.get(key(place)) ?? [];
    if (here.length < 2) return { x: 0, y: 0 };
    const angle = (2 * Math.PI * here.indexOf(index)) / here.length;
    const radius = Math.max(APART, (APART * here.length) / Math.PI);
    return { x: radius * Math.cos(angle), y: radius * Math.sin(angle) };
  });
}

/** The view that shows all places. */
export function fitted(places: readonly Place[], size: Size, most: number): View {
  const xs = places.map(({ x }) => x);
  const ys = places.map(({ y }) => y);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const wide = (size.width - 2 * Math.min(MARGIN, size.width / 5)) / Math.max(right - left, 1);
  const high = (size.height - 2 * Math.min(MARGIN, size.height / 5)) / Math.max(bottom - top, 1);
  const scale = Math.min(wide, high, most);
  return {
    scale,
    x: size.width / 2 - (scale * (left + right)) / 2,
    y: size.height / 2 - (scale * (top + bottom)) / 2,
  };
}

/** `view` with `factor` times its zoom, `fixed` staying where it is on the screen. */
export function zoomed(view: View, factor: number, fixed: Place): View {
  const scale = Math.min(Math.max(view.scale * factor, 0.3), 60);
  const by = scale / view.scale;
  return { scale, x: fixed.x - by * (fixed.x - view.x), y: fixed.y - by * (fixed.y - view.y) };
}

export function onScreen(place: Place, offset: Place, view: View): Place {
  return { x: view.scale * place.x + view.x + offset.x, y: view.scale * place.y + view.y + offset.y };
}

/** The point that a link bends towards: to its right, so that its two directions lie apart. */
export function bend(from: Place, to: Place): Place {
  return { x: (from.x + to.x) / 2 - BEND * (to.y - from.y), y: (from.y + to.y) / 2 + BEND * (to.x - from.x) };
}

/** A point of a link, `at` from 0 to 1. */
export function along(from: Place, to: Place, at: number): Place {
  const by = bend(from, to);
  const [a, b, c] = [(1 - at) * (1 - at), 2 * at * (1 - at), at * at];
  return { x: a * from.x + b * by.x + c * to.x, y: a * from.y + b * by.y + c * to.y };
}

/** Pixels between a point and a link. */
export function distance(point: Place, from: Place, to: Place): number {
  const steps = Array.from({ length: 25 }, (_, index) => along(from, to, index / 24));
  return Math.min(...steps.map(({ x, y }) => Math.hypot(point.x - x, point.y - y)));
}
