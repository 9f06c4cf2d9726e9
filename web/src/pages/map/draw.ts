/** What is drawn below the zones: land, and the links with what crosses them. */
import type { Palette } from '@/theme/palette';

import { along, bend, type Place, type Size, type View } from './layout';

export interface DrawnLink {
  /** Of the two zones in the list of zones. */
  from: number;
  to: number;
  /** Of each group that sends: one means the whole link is of its colour. */
  colours: readonly string[];
  /** Of the widest link, from 0 to 1. */
  weight: number;
  label: string;
}

/** A line of text on the screen, `y` its middle. */
export interface Box {
  left: number;
  right: number;
  y: number;
}

export interface Scene {
  land: Path2D | null;
  /** Where each zone is on the screen. */
  zones: readonly Place[];
  links: readonly DrawnLink[];
  /** Pairs of zones whose link carries nothing. */
  idle: readonly (readonly [number, number])[];
  /** Of the links: pointed at or chosen; -1: none. */
  pointed: number;
  chosen: number;
  hasLabels: boolean;
  /** Where the names of zones stand: no label may hide them. */
  names: readonly Box[];
}

export interface Ink {
  palette: Palette;
  land: string;
  line: string;
  surface: string;
  text: string;
  font: string;
}

const THINNEST = 1.6;
const WIDEST = 7;
/** Along a link, where its label may stand, the best first. */
const SPOTS = [0.42, 0.3, 0.54, 0.22, 0.62];
const LABEL_HEIGHT = 20;

export function draw(context: CanvasRenderingContext2D, scene: Scene, view: View, size: Size, ink: Ink): void {
  const ratio = window.devicePixelRatio;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, size.width, size.height);
  if (scene.land != null) {
    context.setTransform(ratio * view.scale, 0, 0, ratio * view.scale, ratio * view.x, ratio * view.y);
    context.fillStyle = ink.land;
    context.fill(scene.land);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
  }
  drawIdle(context, scene, ink);
  scene.links.forEach((link, index) => {
    drawLink(context, scene, link, index === scene.pointed || index === scene.chosen);
  });
  const taken = [...scene.names];
  scene.links.forEach((link, index) => {
    const isMarked = index === scene.pointed || index === scene.chosen;
    if (scene.hasLabels || isMarked) drawLabel(context, scene, link, ink, taken);
  });
}

function ends(scene: Scene, link: DrawnLink): [Place, Place] {
  const none = { x: 0, y: 0 };
  return [scene.zones[link.from] ?? none, scene.zones[link.to] ?? none];
}

function drawIdle(context: CanvasRenderingContext2D, scene: Scene, ink: Ink): void {
  context.beginPath();
  for (const [from, to] of scene.idle) {
    const [start, end] = [scene.zones[from], scene.zones[to]];
    if (start == null || end == null) continue;
    context.moveTo(start.x, start.y);
    context.lineTo(end.x, end.y);
  }
  context.setLineDash([3, 4]);
  context.lineWidth = 1;
  context.strokeStyle = ink.line;
  context.stroke();
  context.setLineDash([]);
}

function drawLink(context: CanvasRenderingContext2D, scene: Scene, link: DrawnLink, isMarked: boolean): void {
  const [from, to] = ends(scene, link);
  const by = bend(from, to);
  context.lineWidth = THINNEST + (WIDEST - THINNEST) * link.weight;
  context.globalAlpha = isMarked || (scene.chosen < 0 && scene.pointed < 0) ? 1 : 0.55;
  const dash = 10;
  link.colours.forEach((colour, index) => {
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.quadraticCurveTo(by.x, by.y, to.x, to.y);
    // Several groups on one link take turns along it.
    context.setLineDash(link.colours.length > 1 ? [dash, dash * (link.colours.length - 1)] : []);
    context.lineDashOffset = -index * dash;
    context.strokeStyle = colour;
    context.stroke();
  });
  context.setLineDash([]);
  drawArrow(context, from, to, link.colours[0] ?? '', context.lineWidth);
  context.globalAlpha = 1;
}

function drawArrow(context: CanvasRenderingContext2D, from: Place, to: Place, colour: string, width: number): void {
  const [tip, tail] = [along(from, to, 0.7), along(from, to, 0.66)];
  const angle = Math.atan2(tip.y - tail.y, tip.x - tail.x);
  const length = 7 + width;
  context.fillStyle = colour;
  context.beginPath();
  context.moveTo(tip.x + length * Math.cos(angle), tip.y + length * Math.sin(angle));
  for (const side of [2.5, -2.5]) {
    context.lineTo(tip.x + length * 0.75 * Math.cos(angle + side), tip.y + length * 0.75 * Math.sin(angle + side));
  }
  context.fill();
}

/** A label stands on its link, where it hides none that stands already. */
function drawLabel(context: CanvasRenderingContext2D, scene: Scene, link: DrawnLink, ink: Ink, taken: Box[]): void {
  const [from, to] = ends(scene, link);
  const width = context.measureText(link.label).width + 12;
  const boxes = SPOTS.map((at): Box => {
    const { x, y } = along(from, to, at);
    return { left: x - width / 2, right: x + width / 2, y };
  });
  const box = boxes.find((each) => !taken.some((other) => overlap(each, other))) ?? boxes[0];
  if (box == null) return;
  taken.push(box);
  context.fillStyle = ink.surface;
  context.strokeStyle = link.colours[0] ?? ink.line;
  context.lineWidth = 1;
  context.beginPath();
  context.roundRect(box.left, box.y - LABEL_HEIGHT / 2, width, LABEL_HEIGHT, 4);
  context.fill();
  context.stroke();
  context.fillStyle = ink.text;
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  context.fillText(link.label, (box.left + box.right) / 2, box.y);
}

function overlap(one: Box, other: Box): boolean {
  return one.left < other.right && other.left < one.right && Math.abs(one.y - other.y) < LABEL_HEIGHT + 2;
}
