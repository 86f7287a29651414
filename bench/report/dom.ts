/** As much of a browser's interface as the page's script uses: the compiler knows Node's only. */

export interface PageElement {
  readonly clientWidth: number;
  readonly dataset: Record<string, string | undefined>;
  textContent: string | null;
  href: string;
  replaceChildren(...children: unknown[]): void;
  querySelector(selector: string): PageElement | null;
  addEventListener(type: string, listener: (event: PageKey) => void): void;
}

export interface PageKey {
  readonly key: string;
  preventDefault(): void;
}

export interface PageDocument {
  readonly documentElement: PageElement;
  createElement(name: 'canvas'): { getContext(kind: '2d'): Canvas };
  querySelector(selector: string): PageElement | null;
  querySelectorAll(selector: string): Iterable<PageElement>;
}

export interface PageWindow {
  readonly devicePixelRatio: number;
  getComputedStyle(element: PageElement): { getPropertyValue(name: string): string };
  matchMedia(query: string): { addEventListener(type: 'change', listener: () => void): void };
  addEventListener(type: string, listener: () => void): void;
}

export interface Canvas {
  fillStyle: string;
  strokeStyle: string;
  lineWidth: number;
  font: string;
  textAlign: 'left' | 'right' | 'center';
  textBaseline: 'middle' | 'bottom' | 'top';
  fillText(text: string, x: number, y: number): void;
  fillRect(x: number, y: number, width: number, height: number): void;
  measureText(text: string): { width: number };
  save(): void;
  restore(): void;
}

/** uPlot's plot, https://github.com/leeoniya/uPlot. */
export interface Plot {
  readonly ctx: Canvas;
  /** The plotting area in the canvas's pixels. */
  readonly bbox: { left: number; top: number; width: number; height: number };
  readonly cursor: { idx?: number | null };
  readonly data: (number | null)[][];
  valToPos(value: number, scale: string, inCanvasPixels?: boolean): number;
  setCursor(position: { left: number; top: number }): void;
  setSize(size: { width: number; height: number }): void;
  destroy(): void;
}

export type PlotConstructor = new (options: object, data: (number | null)[][], target: PageElement) => Plot;
