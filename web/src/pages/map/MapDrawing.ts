/** The map as it moves: drag, zoom and size go from the pointer to the canvas, at most once a frame, past React. */
import { onFrame } from '@/theme/onFrame';

import { draw, type Box, type DrawnLink, type Ink } from './draw';
import { distance, fitted, onScreen, spread, zoomed, type Place, type View } from './layout';

export interface Content {
  land: Path2D | null;
  /** Of each zone, before zoom. */
  places: readonly Place[];
  links: readonly DrawnLink[];
  idle: readonly (readonly [number, number])[];
  /** Of the links; -1: none. */
  chosen: number;
  closest: number;
  ink: Ink;
}

/** Above which labels would hide the links that they name. */
export const MOST_LABELS = 12;
const LEAST_WIDTH_OF_LABELS = 560;
const NEAR = 10;
/** Pixels from the middle of a zone to that of its name. */
const BELOW = 24;
const NOWHERE: Place = { x: 0, y: 0 };

export class MapDrawing {
  private content: Content | null = null;
  private offsets: readonly Place[] = [];
  private screen: readonly Place[] = [];
  private view: View = { scale: 1, x: 0, y: 0 };
  private size = { width: 0, height: 0 };
  private pointed = -1;
  private drag: { from: Place; view: View; hasMoved: boolean } | null = null;
  private callOff = (): void => undefined;
  private readonly observer: ResizeObserver;
  private readonly listening = new AbortController();

  /** `markers` holds an element for each zone, in their order; `onChoose` is told the link that was clicked, or -1. */
  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly markers: HTMLElement,
    private readonly onChoose: (link: number) => void,
  ) {
    const { signal } = this.listening;
    canvas.addEventListener('pointerdown', this.pressed, { signal });
    canvas.addEventListener('pointermove', this.moved, { signal });
    canvas.addEventListener('pointerup', this.released, { signal });
    canvas.addEventListener('pointerleave', this.left, { signal });
    canvas.addEventListener('wheel', this.turned, { signal, passive: false });
    this.observer = new ResizeObserver(this.resized);
    this.observer.observe(canvas);
  }

  dispose(): void {
    this.listening.abort();
    this.observer.disconnect();
    this.callOff();
  }

  show(content: Content): void {
    const isElsewhere = this.content?.places !== content.places;
    this.content = content;
    if (!isElsewhere) {
      this.redraw();
      return;
    }
    this.offsets = spread(content.places);
    this.fit();
  }

  fit(): void {
    if (this.content != null) this.view = fitted(this.content.places, this.size, this.content.closest);
    this.redraw();
  }

  zoom(factor: number, fixed: Place = { x: this.size.width / 2, y: this.size.height / 2 }): void {
    this.view = zoomed(this.view, factor, fixed);
    this.redraw();
  }

  private redraw(): void {
    this.callOff();
    this.callOff = onFrame(() => {
      const context = this.canvas.getContext('2d');
      if (context == null || this.content == null || this.size.width === 0) return;
      const { places, ...content } = this.content;
      this.screen = places.map((place, index) => onScreen(place, this.offsets[index] ?? NOWHERE, this.view));
      this.screen.forEach(({ x, y }, index) => {
        const marker = this.markers.children[index];
        if (marker instanceof HTMLElement) marker.style.transform = `translate(${String(x)}px, ${String(y)}px)`;
      });
      const hasLabels = content.links.length <= MOST_LABELS && this.size.width > LEAST_WIDTH_OF_LABELS;
      context.font = `11px ${content.ink.font}`;
      const names = hasLabels ? this.names() : [];
      const scene = { ...content, zones: this.screen, pointed: this.pointed, hasLabels, names };
      draw(context, scene, this.view, this.size, content.ink);
    });
  }

  /** The names stand below their zones, as the style of the markers has it. */
  private names(): Box[] {
    return this.screen.map(({ x, y }, index) => {
      const name = this.markers.children[index]?.lastElementChild;
      const half = name instanceof HTMLElement ? name.offsetWidth / 2 : 0;
      return { left: x - half, right: x + half, y: y + BELOW };
    });
  }

  private readonly resized = () => {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    this.canvas.width = width * window.devicePixelRatio;
    this.canvas.height = height * window.devicePixelRatio;
    this.size = { width, height };
    this.fit();
  };

  private readonly pressed = (event: PointerEvent) => {
    this.drag = { from: { x: event.clientX, y: event.clientY }, view: this.view, hasMoved: false };
    this.canvas.setPointerCapture(event.pointerId);
  };

  private readonly moved = (event: PointerEvent) => {
    const began = this.drag;
    if (began == null) {
      this.pointed = this.nearest({ x: event.offsetX, y: event.offsetY });
      this.canvas.style.cursor = this.pointed < 0 ? '' : 'pointer';
    } else {
      const [x, y] = [event.clientX - began.from.x, event.clientY - began.from.y];
      began.hasMoved ||= Math.hypot(x, y) > 3;
      this.view = { ...began.view, x: began.view.x + x, y: began.view.y + y };
    }
    this.redraw();
  };

  private readonly released = (event: PointerEvent) => {
    if (this.drag?.hasMoved === false) this.onChoose(this.nearest({ x: event.offsetX, y: event.offsetY }));
    this.drag = null;
  };

  private readonly left = () => {
    this.pointed = -1;
    this.redraw();
  };

  /** Zoom with Ctrl or ⌘, as pinching a touchpad says it too: without, the page scrolls. */
  private readonly turned = (event: WheelEvent) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY / 300), { x: event.offsetX, y: event.offsetY });
  };

  private nearest(at: Place): number {
    const far = (this.content?.links ?? []).map(({ from, to }) =>
      distance(at, this.screen[from] ?? NOWHERE, this.screen[to] ?? NOWHERE),
    );
    const best = Math.min(...far);
    return best < NEAR ? far.indexOf(best) : -1;
  }
}
