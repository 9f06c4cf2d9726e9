/**
 * Draws a scene. Slices are written as columns of pixels into one line for each lane, which is then stretched to the
 * lane's height: a frame costs as many pixels as lanes are wide, however many slices there are. Of slices narrower than
 * a pixel, the one that fills most of it gives the colour, and how much of it is filled the strength.
 */
import type { Lane, Place, Scene } from './scene';
import { firstAfter, GROUP_GAP, sliceOf } from './scene';

export interface View {
  startSeconds: number;
  endSeconds: number;
  /** Of the part in sight, in CSS pixels. */
  top: number;
  width: number;
  height: number;
}

export interface Look {
  /** [r, g, b] of each category. */
  colours: readonly (readonly [number, number, number])[];
  text: string;
  onSlice: string;
  line: string;
  accent: string;
  font: string;
}

export interface Marks {
  /** Of each category. */
  isHidden: readonly boolean[];
  /** Slices to be seen before all others, by lane; null: all. */
  found: readonly ReadonlySet<number>[] | null;
  selected: Place | null;
  hovered: Place | null;
}

const FAINT = 0.14;
const WEAKEST = 0.4; // of a pixel that is hardly filled
const LEAST_GAP_PIXELS = 3; // from which width on neighbours are told apart by a gap
const LABEL_PIXELS = 44;
const TICK_PIXELS = 84;
const BEYOND = 0.3; // how strongly the time after a step is shaded

/** The line of pixels of each lane, kept between frames. */
export class Strip {
  readonly canvas = document.createElement('canvas');
  private image: ImageData | null = null;
  private filled = new Float32Array(0);
  private best = new Float32Array(0);

  paint(scene: Scene, lanes: readonly number[], view: View, scale: number, look: Look, marks: Marks): void {
    const width = Math.max(Math.round(view.width * scale), 1);
    const context = this.canvas.getContext('2d');
    if (context == null || lanes.length === 0) return;
    if (this.canvas.width !== width || this.canvas.height !== lanes.length) {
      this.canvas.width = width;
      this.canvas.height = lanes.length;
    }
    if (this.image?.width !== width || this.image.height !== lanes.length) {
      this.image = context.createImageData(width, lanes.length);
    }
    const pixels = this.image.data;
    pixels.fill(0);
    if (this.filled.length !== width) {
      this.filled = new Float32Array(width);
      this.best = new Float32Array(width);
    }
    lanes.forEach((number, row) => {
      const lane = scene.lanes[number];
      if (lane == null) return;
      const found = marks.found?.[number] ?? null;
      this.paintLane(pixels, row * width * 4, width, lane, view, look, marks.isHidden, found);
    });
    context.putImageData(this.image, 0, 0);
  }

  private paintLane(
    pixels: Uint8ClampedArray,
    offset: number,
    width: number,
    lane: Lane,
    view: View,
    look: Look,
    isHidden: readonly boolean[],
    found: ReadonlySet<number> | null,
  ): void {
    const { starts, ends, kinds } = lane;
    const { filled, best } = this;
    const perSecond = width / (view.endSeconds - view.startSeconds);
    filled.fill(0);
    best.fill(0);
    for (let index = firstAfter(lane, view.startSeconds); index < starts.length; index += 1) {
      const start = starts[index] ?? 0;
      if (start >= view.endSeconds) break;
      const kind = kinds[index] ?? 0;
      if (isHidden[kind] === true) continue;
      const strength = found == null || found.has(index) ? 1 : FAINT;
      const left = Math.max((start - view.startSeconds) * perSecond, 0);
      const right = Math.min(((ends[index] ?? 0) - view.startSeconds) * perSecond, width);
      const gap = right - left >= LEAST_GAP_PIXELS ? 1 : 0;
      const last = Math.min(Math.ceil(right - gap), width);
      const colour = look.colours[kind] ?? [128, 128, 128];
      for (let column = Math.floor(left); column < last; column += 1) {
        const share = Math.min(right - gap, column + 1) - Math.max(left, column);
        filled[column] = (filled[column] ?? 0) + share;
        if (share * strength <= (best[column] ?? 0)) continue;
        best[column] = share * strength;
        const at = offset + column * 4;
        pixels[at] = colour[0];
        pixels[at + 1] = colour[1];
        pixels[at + 2] = colour[2];
        const full = Math.min(filled[column] ?? 0, 1);
        pixels[at + 3] = 255 * strength * (full > 0.97 ? 1 : WEAKEST + (1 - WEAKEST) * full);
      }
    }
  }
}

/** One frame. */
export function draw(
  context: CanvasRenderingContext2D,
  strip: Strip,
  scene: Scene,
  view: View,
  scale: number,
  look: Look,
  marks: Marks,
): void {
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, view.width, view.height);
  const lanes = scene.lanes.flatMap((lane, index) =>
    lane.top + lane.height > view.top && lane.top < view.top + view.height ? [index] : [],
  );
  drawGrid(context, scene, view, look);
  drawEnds(context, scene, view, look);
  strip.paint(scene, lanes, view, scale, look, marks);
  context.imageSmoothingEnabled = false;
  lanes.forEach((number, row) => {
    const lane = scene.lanes[number];
    if (lane == null) return;
    context.drawImage(strip.canvas, 0, row, strip.canvas.width, 1, 0, lane.top - view.top, view.width, lane.height);
  });
  context.font = look.font;
  context.textBaseline = 'middle';
  context.fillStyle = look.onSlice;
  for (const number of lanes) {
    const lane = scene.lanes[number];
    if (lane?.depth === 0) drawNames(context, lane, view, marks.isHidden, marks.found?.[number]);
  }
  outline(context, scene, view, marks.hovered, look.text, 1);
  outline(context, scene, view, marks.selected, look.accent, 2);
}

/** Seconds at which the time axis has a line, so far apart that their numbers have room. */
export function ticks(view: View): number[] {
  const span = view.endSeconds - view.startSeconds;
  const most = Math.max(view.width / TICK_PIXELS, 1);
  const power = 10 ** Math.floor(Math.log10(span / most));
  const step = [1, 2, 5].map((factor) => factor * power).find((size) => span / size <= most) ?? power * 10;
  const first = Math.ceil(view.startSeconds / step);
  const last = Math.floor(view.endSeconds / step);
  return Array.from({ length: Math.max(last - first + 1, 0) }, (_, index) => (first + index) * step);
}

export function xOf(view: View, seconds: number): number {
  return ((seconds - view.startSeconds) / (view.endSeconds - view.startSeconds)) * view.width;
}

function drawGrid(context: CanvasRenderingContext2D, scene: Scene, view: View, look: Look): void {
  context.fillStyle = look.line;
  for (const { top } of scene.groups.slice(1)) {
    context.fillRect(0, Math.round(top - view.top - GROUP_GAP), view.width, 1);
  }
  for (const seconds of ticks(view)) context.fillRect(Math.round(xOf(view, seconds)), 0, 1, view.height);
}

/** Where a step ends before others do: a line, and the time after it shaded. */
function drawEnds(context: CanvasRenderingContext2D, scene: Scene, view: View, look: Look): void {
  for (const { top, height, endSeconds } of scene.steps) {
    if (endSeconds >= Math.min(scene.endSeconds, view.endSeconds)) continue;
    const left = Math.max(xOf(view, endSeconds), 0);
    context.fillStyle = look.line;
    context.globalAlpha = BEYOND;
    context.fillRect(left, top - view.top, view.width - left, height);
    context.globalAlpha = 1;
    context.fillStyle = look.accent;
    if (endSeconds >= view.startSeconds) context.fillRect(Math.round(left), top - view.top, 1, height);
  }
}

function drawNames(
  context: CanvasRenderingContext2D,
  lane: Lane,
  view: View,
  isHidden: readonly boolean[],
  found: ReadonlySet<number> | undefined,
): void {
  const y = lane.top - view.top + lane.height / 2 + 0.5;
  const least = (LABEL_PIXELS / view.width) * (view.endSeconds - view.startSeconds);
  for (let index = firstAfter(lane, view.startSeconds); index < lane.starts.length; index += 1) {
    if ((lane.starts[index] ?? 0) >= view.endSeconds) break;
    if ((lane.ends[index] ?? 0) - (lane.starts[index] ?? 0) < least) continue;
    if (isHidden[lane.kinds[index] ?? 0] === true || found?.has(index) === false) continue;
    const left = Math.max(xOf(view, lane.starts[index] ?? 0), 0);
    const room = Math.min(xOf(view, lane.ends[index] ?? 0), view.width) - left - 8;
    if (room < LABEL_PIXELS) continue;
    const name = lane.slices[index]?.name ?? '';
    const shown = context.measureText(name).width <= room ? name : cut(context, name, room);
    context.fillText(shown, left + 4, y);
  }
}

function cut(context: CanvasRenderingContext2D, text: string, room: number): string {
  const kept = Math.floor((text.length * room) / context.measureText(text).width) - 1;
  return kept < 2 ? '' : `${text.slice(0, kept)}…`;
}

function outline(
  context: CanvasRenderingContext2D,
  scene: Scene,
  view: View,
  place: Place | null,
  colour: string,
  width: number,
): void {
  const slice = place == null ? undefined : sliceOf(scene, place);
  const lane = place == null ? undefined : scene.lanes[place.lane];
  if (slice == null || lane == null) return;
  const left = xOf(view, slice.start_seconds);
  const size = Math.max(xOf(view, slice.end_seconds) - left, 2);
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.strokeRect(left - width / 2, lane.top - view.top - width / 2, size + width / 2, lane.height + width);
}
