/**
 * The drawing: time goes to the right, a column for each step. Two images side by side, so that the names stay in sight
 * while the steps scroll. A step is a link to its description.
 */
import type { Replayed } from './explore.js';
import { type Bar, countSteps, type Lane, lanesOf } from './picture-lanes.js';
import { escaped } from './picture-markup.js';
import { type StateRow, type StateSpan, stateRows } from './picture-states.js';
import { eventInWords } from './picture-words.js';
import type { TraceEvent } from './trace.js';

const COLUMN = 34;
const AXIS = 26;
const TRACK = 19;
const EVENTS = 34;
const ROW = 24;
const GAP = 12;
const LETTER = 6.4;
const NAMES = 118;
/** Room behind the last step: for the mark of a failure, and for the names of bars that begin there. */
const MARGIN = 190;

interface Placed {
  readonly bar: Bar;
  readonly track: number;
}

export function drawSchedule(replayed: Replayed): string {
  const { failure, events } = replayed;
  const steps = countSteps(replayed);
  const names: string[] = [];
  const body: string[] = [];
  let y = AXIS;
  for (const lane of lanesOf(replayed)) {
    const placed = placeBars(lane.bars);
    const tracks = Math.max(0, ...placed.map(({ track }) => track + 1));
    const height = EVENTS + tracks * TRACK + 6;
    names.push(nameAt(y + EVENTS / 2 + 4, lane.name, `thread lane-${lane.thread % 4}`));
    body.push(drawLane(lane, placed, y, height, steps));
    y += height + GAP;
  }
  for (const kind of ['page', 'block'] as const) {
    const rows = stateRows(replayed).filter((row) => row.kind === kind);
    if (rows.length === 0) continue;
    names.push(nameAt(y + 12, kind === 'page' ? 'Pages in the cache' : 'Device blocks', 'group'));
    y += 18;
    for (const row of rows) {
      names.push(nameAt(y + ROW / 2 + 4, row.name, 'row'));
      body.push(drawRow(row, y, replayed));
      y += ROW;
    }
    y += GAP;
  }
  const axis = Array.from({ length: steps }, (_, i) => axisAt(i + 1, events[i], y));
  const mark = failure === null ? '' : markFailure(failure.kind, failure.step > events.length, failure.step, y);
  const width = steps * COLUMN + MARGIN;
  return [
    '<div class="drawing">',
    `<svg class="names" width="${NAMES}" height="${y}" aria-hidden="true">${names.join('')}</svg>`,
    '<div class="scroll" tabindex="0" role="region" aria-label="The schedule, step by step">',
    `<svg class="steps" width="${width}" height="${y}" role="group" aria-label="Threads and their steps">`,
    '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">',
    '<rect width="6" height="6" class="hatch-ground"/><rect width="2.5" height="6" class="hatch-line"/></pattern></defs>',
    axis.join(''),
    mark,
    body.join(''),
    '</svg></div></div>',
  ].join('\n');
}

/** Bars side by side on as few tracks as their names leave room for. */
export function placeBars(bars: readonly Bar[]): Placed[] {
  const ends: number[] = [];
  return bars.map((bar) => {
    let track = ends.findIndex((end) => end <= left(bar.from));
    if (track < 0) track = ends.length;
    ends[track] = Math.max(left(bar.to + 1), left(bar.from) + labelOf(bar).length * LETTER + 14);
    return { bar, track };
  });
}

function drawLane(lane: Lane, placed: readonly Placed[], y: number, height: number, steps: number): string {
  const middle = y + EVENTS / 2;
  const parts = [
    `<rect class="ground" x="0" y="${y}" width="${steps * COLUMN}" height="${height}" rx="4"/>`,
    ...activeSpans(lane.events).map(
      ([from, to]) => `<line class="active" x1="${centre(from)}" x2="${centre(to)}" y1="${middle}" y2="${middle}"/>`,
    ),
    ...placed.map(({ bar, track }) => drawBar(bar, y + EVENTS + track * TRACK)),
    ...lane.events.map((event) => drawEvent(event, y, height)),
  ];
  return `<g class="lane lane-${lane.thread % 4}" role="group" aria-label="thread ${escaped(lane.name)}">${parts.join('')}</g>`;
}

/** Steps that the thread took one right after the other. */
function activeSpans(events: readonly TraceEvent[]): [number, number][] {
  const spans: [number, number][] = [];
  for (const { step } of events) {
    const last = spans.at(-1);
    if (last !== undefined && last[1] === step - 1) last[1] = step;
    else spans.push([step, step]);
  }
  return spans;
}

function drawBar(bar: Bar, y: number): string {
  const width = left(bar.to + 1) - left(bar.from) - 3;
  const label = escaped(labelOf(bar));
  const x = left(bar.from) + 1.5;
  return (
    `<g class="bar ${bar.kind}"><title>${label}, steps ${bar.from} to ${bar.isOpen ? 'the end' : bar.to}</title>` +
    `<rect x="${x}" y="${y}" width="${width}" height="${TRACK - 3}" rx="3"/>` +
    `<text x="${x + 5}" y="${y + 12}">${label}</text></g>`
  );
}

function labelOf({ kind, name }: Bar): string {
  if (kind === 'wait') return `waits: ${name}`;
  return kind === 'shared' ? `${name} (shared)` : name;
}

function drawEvent(event: TraceEvent, y: number, height: number): string {
  const { step, threadName } = event;
  const words = escaped(`Step ${step}: ${threadName} ${eventInWords(event)}${sourceText(event)}`);
  const x = centre(step);
  const middle = y + EVENTS / 2;
  return (
    `<a class="event" href="#step-${step}" aria-label="${words}"><title>${words}</title>` +
    `<rect class="hit" x="${left(step) + 1}" y="${y + 1}" width="${COLUMN - 2}" height="${Math.min(height, EVENTS) - 2}" rx="4"/>` +
    `${symbolOf(event, x, middle)}</a>`
  );
}

function symbolOf({ action, effect, waitsFor }: TraceEvent, x: number, y: number): string {
  if (action === 'die') return `<path class="symbol dies" d="M${x - 7} ${y - 7}l14 14m0 -14l-14 14"/>`;
  if (waitsFor !== null) return `<circle class="symbol sleeps" cx="${x}" cy="${y}" r="7"/>`;
  if (effect === 'end') return `<rect class="symbol" x="${x - 3}" y="${y - 9}" width="6" height="18" rx="1"/>`;
  if (effect === 'point') return `<circle class="symbol" cx="${x}" cy="${y}" r="7"/>`;
  if (effect === 'pause' || effect === 'wait') return `<circle class="symbol" cx="${x}" cy="${y}" r="4"/>`;
  return `<path class="symbol" d="M${x} ${y - 9}l9 9l-9 9l-9 -9z"/>`;
}

export function sourceText({ source }: TraceEvent): string {
  return source === null ? '' : ` (${source.file}:${source.line})`;
}

function drawRow({ name, spans, kind }: StateRow, y: number, { scenario }: Replayed): string {
  const parts = spans.map((span) => drawSpan(span, y, fileColour(span, scenario.files)));
  return `<g class="state ${kind}" role="group" aria-label="${escaped(name)}">${parts.join('')}</g>`;
}

function drawSpan({ from, to, text, tone }: StateSpan, y: number, colour: string): string {
  const width = left(to + 1) - left(from) - 2;
  const room = Math.floor((width - 8) / LETTER);
  const shown = text.length <= room ? text : room < 4 ? '' : `${text.slice(0, room - 1)}…`;
  return (
    `<g class="span ${tone} ${colour}"><title>${escaped(text)}, after steps ${from} to ${to}</title>` +
    `<rect x="${left(from) + 1}" y="${y + 1}" width="${width}" height="${ROW - 4}" rx="3"/>` +
    `<text x="${left(from) + 6}" y="${y + 15}">${escaped(shown)}</text></g>`
  );
}

function fileColour({ file }: StateSpan, files: readonly { readonly name: string }[]): string {
  const at = files.findIndex(({ name }) => name === file);
  return at < 0 ? '' : `file-${at % 3}`;
}

function axisAt(step: number, event: TraceEvent | undefined, height: number): string {
  const column = `<rect class="column" id="column-${step}" x="${left(step)}" y="0" width="${COLUMN}" height="${height}"/>`;
  return `${column}<text class="axis${event === undefined ? ' missing' : ''}" x="${centre(step)}" y="16">${step}</text>`;
}

/** Seen within a step, the mark goes through it; seen afterwards, it stands behind. */
function markFailure(kind: string, isWithin: boolean, step: number, height: number): string {
  const x = isWithin ? centre(step) : left(step + 1) + 5;
  return (
    `<g class="failure" role="img" aria-label="the failure, at step ${step}: ${kind}">` +
    `<line x1="${x}" x2="${x}" y1="4" y2="${height}"/>` +
    `<path d="M${x} 4h${kind.length * 7.4 + 14}v20h-${kind.length * 7.4 + 14}z"/>` +
    `<text x="${x + 7}" y="18">${kind}</text></g>`
  );
}

function nameAt(y: number, text: string, kind: string): string {
  return `<text class="${kind}" x="0" y="${y}">${escaped(text)}</text>`;
}

function left(step: number): number {
  return (step - 1) * COLUMN;
}

function centre(step: number): number {
  return left(step) + COLUMN / 2;
}
