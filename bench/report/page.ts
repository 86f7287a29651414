/**
 * A report as one page of HTML, with everything in it: style, uPlot, the page's script, the figures. Nothing is asked of the
 * network, and the page's own policy forbids it.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Chart, Section } from './charts.js';
import type { Environment } from './environment.js';
import { PAGE_STYLE } from './page-style.js';

export interface FigureTable {
  caption: string;
  head: string[];
  /** The first `names` columns are words, the others numbers. */
  names: number;
  rows: string[][];
}

export interface Page {
  title: string;
  /** One line: what was run. */
  subtitle: string;
  verdict: string[];
  schemes: string[];
  summary: FigureTable;
  sections: Section[];
  environment: Environment;
  tables: FigureTable[];
  /** What the download holds. */
  raw: unknown;
}

const POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

export function renderPage(page: Page): string {
  const charts = page.sections.flatMap((section) => section.charts);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<title>${escaped(page.title)}</title>
<link rel="icon" href="data:,">
<style>${library('uPlot.min.css')}${PAGE_STYLE}</style>
</head>
<body>
<header>
<h1>${escaped(page.title)}</h1>
<p class="soft">${escaped(page.subtitle)}</p>
</header>
<main>
${verdictOf(page.verdict)}
${tableOf(page.summary, page.schemes)}
${page.sections.map((section) => sectionOf(section, charts)).join('\n')}
<section id="environment">
<h2>Environment</h2>
<dl>
${page.environment.map(([name, value]) => `<dt>${escaped(name)}</dt><dd>${escaped(value)}</dd>`).join('\n')}
</dl>
</section>
<section id="figures">
<h2>All figures</h2>
<p><a class="button" id="download" href="#raw-data" download="emmental-compare.json">Download as JSON</a></p>
<p class="soft text">In the shape of fio's own, with every latency bin, the tenths of a second and the locks' times beside it.</p>
${page.tables.map((table) => tableOf(table, [])).join('\n')}
</section>
</main>
<footer>Point at a plot, or move to it with the Tab key and along it with the arrow keys, to read its values. Drawn by <a href="https://github.com/leeoniya/uPlot">uPlot</a>.</footer>
<script type="application/json" id="figures-data">${inlineJson({ charts })}</script>
<script type="application/json" id="raw-data">${inlineJson(page.raw)}</script>
<script>${library('uPlot.iife.min.js')}</script>
<script type="module">${ownScript()}</script>
</body>
</html>
`;
}

/** One scheme alone is held against nothing. */
function verdictOf(lines: string[]): string {
  if (lines.length === 0) return '';
  const paragraphs = lines.map((line) => `<p>${escaped(line)}</p>`).join('\n');
  return `<section class="verdict" aria-label="Verdict">\n${paragraphs}\n</section>`;
}

function sectionOf({ id, title, text, charts }: Section, all: Chart[]): string {
  return `<section id="${id}">
<h2>${escaped(title)}</h2>
<p class="text">${escaped(text)}</p>
<div class="plots">
${charts.map((chart) => figureOf(chart, all.indexOf(chart))).join('\n')}
</div>
</section>`;
}

function figureOf(chart: Chart, index: number): string {
  const unit = chart.y.label === '' ? '' : ` <span>${escaped(chart.y.label)}</span>`;
  const name = `${chart.title}${chart.y.label === '' ? '' : `, ${chart.y.label}`}, over ${chart.x.label}`;
  return `<figure data-chart="${index}" tabindex="0" role="group" aria-label="${escaped(name)}: use the arrow keys to read values">
<figcaption>${escaped(chart.title)}${unit}</figcaption>
<div class="plot" aria-hidden="true"></div>
<output aria-live="polite">${escaped(lastValues(chart))}</output>
</figure>`;
}

/** What a plot says before anybody points at it. */
function lastValues({ lines, placeTexts }: Chart): string {
  const known = placeTexts.map((_text, at) => lines.every(({ values }) => values[at] !== null));
  const last = Math.max(0, known.lastIndexOf(true));
  const values = lines.map(({ name, texts }) => `${name} ${texts[last]}`);
  return `${placeTexts[last]}: ${values.join(', ')}`;
}

/** `schemes`: first cells that get the colour of their lines. */
function tableOf({ caption, head, names, rows }: FigureTable, schemes: string[]): string {
  const kind = (column: number) => (column < names ? ' class="name"' : '');
  const cell = (text: string, column: number): string => {
    const style = column === 0 ? schemes.indexOf(text) : -1;
    const swatch = style < 0 ? '' : `<span class="swatch" style="background: var(--line-${style % 7})"></span>`;
    return column === 0
      ? `<th scope="row" class="name">${swatch}${escaped(text)}</th>`
      : `<td${kind(column)}>${escaped(text)}</td>`;
  };
  return `<div class="scroll" tabindex="0" role="region" aria-label="${escaped(caption)}">
<table>
<caption>${escaped(caption)}</caption>
<thead><tr>${head.map((text, column) => `<th scope="col"${kind(column)}>${escaped(text)}</th>`).join('')}</tr></thead>
<tbody>
${rows.map((row) => `<tr>${row.map(cell).join('')}</tr>`).join('\n')}
</tbody>
</table>
</div>`;
}

function library(file: string): string {
  return readFileSync(createRequire(import.meta.url).resolve(`uplot/dist/${file}`), 'utf8');
}

function ownScript(): string {
  return readFileSync(new URL('../../bench/report/browser.js', import.meta.url), 'utf8').replace(
    /^\/\/# sourceMappingURL=.*$/m,
    '',
  );
}

/** JSON inside a script element: nothing in it may end the element. */
function inlineJson(value: unknown): string {
  return JSON.stringify(value).replace(/</g, '\\u003c');
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]);
}
