/**
 * What the pages and blocks of a schedule looked like, as rows of spans of steps in which nothing changed.
 *
 * A block to which nothing happened, and that no page came from, is left out: it would say nothing.
 */
import type { Replayed } from './explore.js';
import type { BlockView, PageView, TraceEvent } from './trace.js';

export interface StateSpan {
  readonly from: number;
  readonly to: number;
  readonly text: string;
  /** Whose bytes these are, or whose the block is: a file's name, or null. */
  readonly file: string | null;
  readonly tone: 'data' | 'zero' | 'empty' | 'dirty' | 'free';
}

export interface StateRow {
  readonly kind: 'page' | 'block';
  readonly name: string;
  readonly spans: readonly StateSpan[];
}

type State = Omit<StateSpan, 'from' | 'to'>;

export function stateRows({ events, scenario }: Replayed): StateRow[] {
  const names = scenario.files.map(({ name }) => name);
  const pages = new Map<string, Map<number, State>>();
  const blocks = new Map<string, Map<number, State>>();
  for (const event of events) {
    for (const page of event.pages) note(pages, `${page.file} page ${page.page}`, event, pageState(page, names));
    for (const block of event.blocks) note(blocks, `block ${block.block}`, event, blockState(block, names));
  }
  const used = blocksUsed(events);
  const rows = [...pages].map(([name, states]) => rowOf('page', name, states, events.length));
  rows.sort((a, b) => a.name.localeCompare(b.name));
  for (const [name, states] of [...blocks].sort(([a], [b]) => Number(a.slice(6)) - Number(b.slice(6)))) {
    const row = rowOf('block', name, states, events.length);
    if (row.spans.length > 1 || used.has(name)) rows.push(row);
  }
  return rows;
}

function blocksUsed(events: readonly TraceEvent[]): Set<string> {
  const used = new Set<string>();
  for (const { pages, target } of events) {
    for (const { block } of pages) used.add(`block ${block}`);
    if (target?.startsWith('block ') === true) used.add(target);
  }
  return used;
}

function note(rows: Map<string, Map<number, State>>, name: string, { step }: TraceEvent, state: State): void {
  const row = rows.get(name) ?? new Map<number, State>();
  rows.set(name, row);
  row.set(step, state);
}

function rowOf(kind: StateRow['kind'], name: string, states: ReadonlyMap<number, State>, steps: number): StateRow {
  const spans: StateSpan[] = [];
  for (let step = 1; step <= steps; step++) {
    const state = states.get(step);
    if (state === undefined) continue;
    const before = spans.at(-1);
    if (before !== undefined && before.to === step - 1 && before.text === state.text) {
      spans[spans.length - 1] = { ...before, to: step };
    } else {
      spans.push({ ...state, from: step, to: step });
    }
  }
  return { kind, name, spans };
}

function pageState({ flags, content, pins }: PageView, names: readonly string[]): State {
  const shown = flags.filter((flag) => flag !== 'Uptodate' && flag !== 'Waiters').map((flag) => flag.toLowerCase());
  if (pins > 0 && !flags.includes('Locked')) shown.push('pinned');
  const isFilled = flags.includes('Uptodate');
  const text = [isFilled ? shortContent(content) : 'being filled', ...shown].join(', ');
  const tone = !isFilled ? 'empty' : flags.includes('Dirty') ? 'dirty' : content === 'zero' ? 'zero' : 'data';
  return { text, tone, file: fileIn(content, names) };
}

function blockState({ owner, content }: BlockView, names: readonly string[]): State {
  const isOwned = names.includes(owner);
  const whose = isOwned ? `${owner}'s` : owner;
  return {
    text: `${whose}: ${shortContent(content)}`,
    tone: isOwned ? (content === 'zero' ? 'zero' : 'data') : 'free',
    file: isOwned ? owner : null,
  };
}

/** `victim page 1 generation 2` is `victim 1 v2`: there is little room in a span. */
function shortContent(content: string): string {
  return content.replace(/ page (\d+) generation (\d+)$/, ' $1 v$2');
}

function fileIn(content: string, names: readonly string[]): string | null {
  return names.find((name) => content.startsWith(`${name} page `)) ?? null;
}
