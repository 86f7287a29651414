/**
 * The script of a report's page: draws the plots with uPlot, in the colours of the light or the dark page, and reads values out
 * as the pointer or the arrow keys go along a plot. It runs in the browser; charts.ts made everything it shows.
 */
import type { Chart, Line, Marks } from './charts.js';
import type { PageDocument, PageElement, PageWindow, Plot, PlotConstructor } from './dom.js';

declare const document: PageDocument;
declare const window: PageWindow;
declare const uPlot: PlotConstructor;

const HEIGHT = 240;
const FONT = '12px system-ui, sans-serif';
const LABEL_GAP = 8;
const LABEL_HEIGHT = 15;
const MARK_HEIGHT = 16;
const DASHES = [[], [7, 4], [2, 3], [10, 3, 2, 3], [4, 2], [1, 4], [12, 4]];

const colour = (name: string) => window.getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const colourOf = (style: number) => colour(`--line-${style % 7}`);

class Figure {
  private plot: Plot | null = null;
  private readonly target: PageElement;
  private readonly output: PageElement;

  constructor(
    readonly element: PageElement,
    private readonly chart: Chart,
  ) {
    this.target = element.querySelector('.plot')!;
    this.output = element.querySelector('output')!;
    element.addEventListener('keydown', (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: 10, PageDown: -10, Home: -1e9, End: 1e9 }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      this.moveBy(step);
    });
  }

  draw(): void {
    this.plot?.destroy();
    this.target.replaceChildren();
    const { chart } = this;
    const data = [chart.places, ...chart.lines.map(({ values }) => values.map((value) => this.drawable(value)))];
    this.plot = new uPlot(this.options(), data, this.target);
  }

  fit(): void {
    const width = this.target.clientWidth;
    if (width > 0) this.plot?.setSize({ width, height: HEIGHT });
  }

  /** A value that a logarithmic axis has no place for lies on its lower end. */
  private drawable(value: number | null): number | null {
    return value === null ? null : Math.max(value, this.chart.y.min);
  }

  private moveBy(step: number): void {
    const { plot, chart } = this;
    if (plot === null) return;
    const last = chart.places.length - 1;
    const at = plot.cursor.idx ?? (step > 0 ? -1 : last + 1);
    const next = Math.min(last, Math.max(0, at + step));
    plot.setCursor({ left: plot.valToPos(chart.places[next], 'x'), top: 10 });
  }

  private readOut(index: number | null | undefined): void {
    const { chart } = this;
    if (index === null || index === undefined) return;
    const values = chart.lines.map(({ name, texts }) => `${name} ${texts[index]}`);
    this.output.textContent = `${chart.placeTexts[index]}: ${values.join(', ')}`;
  }

  private options(): object {
    const { chart } = this;
    const { x, y } = chart;
    const axis = { stroke: colour('--soft'), font: FONT, ticks: { show: false } };
    return {
      width: this.target.clientWidth,
      height: HEIGHT,
      padding: [rowsOf(chart.marks).length * MARK_HEIGHT + 10, labelWidth(chart.lines), 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { setScale: false, x: false, y: false }, points: { size: 7 } },
      scales: {
        x: { time: false, range: () => [x.min, x.max] },
        y: { range: () => [y.min, y.max], distr: y.isLogarithmic ? 3 : 1 },
      },
      axes: [
        {
          ...axis,
          size: 26,
          label: x.label,
          labelFont: FONT,
          labelSize: 18,
          grid: { show: false },
          splits: () => x.ticks.map(([at]) => at),
          values: () => x.ticks.map(([, text]) => text),
        },
        {
          ...axis,
          size: 56,
          grid: { stroke: colour('--grid'), width: 1 },
          splits: () => y.ticks.map(([at]) => at),
          values: () => y.ticks.map(([, text]) => text),
          filter: (_plot: Plot, splits: number[]) => splits,
        },
      ],
      series: [{}, ...chart.lines.map((line) => this.seriesOf(line))],
      hooks: {
        draw: [(plot: Plot) => this.drawAround(plot)],
        setCursor: [(plot: Plot) => this.readOut(plot.cursor.idx)],
      },
    };
  }

  private seriesOf({ name, style, values }: Line): object {
    const isSparse = values.length <= 12;
    return {
      label: name,
      stroke: colourOf(style),
      width: 2,
      dash: DASHES[style % DASHES.length],
      points: { show: isSparse, size: 6, fill: colourOf(style) },
    };
  }

  private drawAround(plot: Plot): void {
    const { ctx } = plot;
    const ratio = window.devicePixelRatio;
    ctx.save();
    ctx.font = FONT.replace('12px', `${12 * ratio}px`);
    ctx.textBaseline = 'middle';
    drawLabels(plot, this.chart, ratio);
    drawMarks(plot, this.chart, ratio);
    ctx.restore();
  }
}

/** The names of the lines, each where its line ends, moved apart where lines end together. */
function drawLabels(plot: Plot, { lines }: Chart, ratio: number): void {
  const { ctx, bbox } = plot;
  const ends = lines.map((line, i) => {
    const values = plot.data[i + 1];
    let last = values.length - 1;
    while (last > 0 && values[last] === null) last--;
    return { line, y: plot.valToPos(values[last] ?? 0, 'y', true) };
  });
  ends.sort((a, b) => a.y - b.y);
  const gap = LABEL_HEIGHT * ratio;
  for (const [i, end] of ends.entries()) if (i > 0) end.y = Math.max(end.y, ends[i - 1].y + gap);
  const excess = (ends.at(-1)?.y ?? 0) - (bbox.top + bbox.height);
  if (excess > 0) for (const end of ends) end.y -= excess;
  ctx.textAlign = 'left';
  for (const { line, y } of ends) {
    ctx.fillStyle = colourOf(line.style);
    ctx.fillText(line.name, bbox.left + bbox.width + LABEL_GAP * ratio, y);
  }
}

function rowsOf(marks: Marks[]): string[] {
  return [...new Set(marks.map(({ label }) => label))];
}

/** A row of bars for each kind of mark; the schemes' bars stand beside each other. */
function drawMarks(plot: Plot, { marks, places }: Chart, ratio: number): void {
  const { ctx, bbox } = plot;
  const rows = rowsOf(marks);
  for (const [row, label] of rows.entries()) {
    const base = bbox.top - (4 + (rows.length - 1 - row) * MARK_HEIGHT) * ratio;
    const height = (MARK_HEIGHT - 5) * ratio;
    const own = marks.filter((mark) => mark.label === label);
    for (const [i, { heights, style }] of own.entries()) {
      ctx.fillStyle = colourOf(style);
      const shift = (i - (own.length - 1) / 2) * 2.4 * ratio;
      for (const [at, share] of heights.entries()) {
        if (share === 0) continue;
        const x = plot.valToPos(places[at], 'x', true) + shift;
        ctx.fillRect(x - ratio, base - height * (0.35 + 0.65 * share), 2 * ratio, height * (0.35 + 0.65 * share));
      }
    }
    ctx.fillStyle = colour('--soft');
    ctx.textAlign = 'left';
    ctx.fillText(label, bbox.left + bbox.width + LABEL_GAP * ratio, base - height / 2);
  }
}

const measuring = document.createElement('canvas').getContext('2d');

function labelWidth(lines: Line[]): number {
  measuring.font = FONT;
  return LABEL_GAP + 4 + Math.ceil(Math.max(...lines.map(({ name }) => measuring.measureText(name).width), 68));
}

const data = document.querySelector('#figures-data')!.textContent!;
const { charts } = JSON.parse(data) as { charts: Chart[] };
const figures: Figure[] = [];
for (const element of document.querySelectorAll('figure[data-chart]')) {
  figures.push(new Figure(element, charts[Number(element.dataset.chart)]));
}
const drawAll = () => {
  for (const figure of figures) figure.draw();
};
drawAll();
window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll);
window.addEventListener('resize', () => {
  for (const figure of figures) figure.fit();
});

const download = document.querySelector('#download')!;
const raw = document.querySelector('#raw-data')!.textContent!;
download.href = URL.createObjectURL(new Blob([raw], { type: 'application/json' }));
