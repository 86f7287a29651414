/**
 * What happened in a schedule, in plain words: the turns that the threads took, with what mattered in each, and for data
 * that were stale or foreign the three steps that make the race: looked up, taken away, used.
 */
import type { Replayed } from './explore.js';
import { eventInWords } from './picture-words.js';
import type { TraceEvent } from './trace.js';

export interface Turn {
  readonly thread: number;
  readonly name: string;
  readonly from: number;
  readonly to: number;
  /** Steps worth telling. */
  readonly events: readonly TraceEvent[];
}

/** Points between which nothing that others can see has happened. */
const QUIET = new Set(['lock:wanted', 'read:page', 'write:locked']);

export function turnsOf({ events }: Replayed): Turn[] {
  const turns: { thread: number; name: string; from: number; to: number; events: TraceEvent[] }[] = [];
  for (const event of events) {
    let turn = turns.at(-1);
    if (turn?.thread !== event.thread) {
      turn = { thread: event.thread, name: event.threadName, from: event.step, to: event.step, events: [] };
      turns.push(turn);
    }
    turn.to = event.step;
    if (isTold(event)) turn.events.push(event);
  }
  return turns;
}

function isTold({ action, effect, point, waitsFor }: TraceEvent): boolean {
  if (action === 'die' || waitsFor !== null || effect === 'end') return true;
  if (point !== null) return !QUIET.has(point);
  return action === 'transfer';
}

/** Sentences about why it went wrong, found in the events; none where the kind of failure says it all. */
export function causeOf(replayed: Replayed): string[] {
  const sentences: string[] = [];
  for (const loss of lossesOf(replayed.events)) {
    const lookup = lookupBefore(replayed.events, loss);
    if (lookup === null) continue;
    const { event, block, owner, becomes } = loss;
    const dropped = droppedBefore(replayed.events, event);
    const earlier =
      dropped === null ? '' : `${dropped.threadName} had dropped the page from the cache at step ${dropped.step}. `;
    sentences.push(
      `${earlier}${lookup.threadName} looked up the old block ${block} at step ${lookup.step}, when it still belonged to ${owner}; ` +
        `${event.threadName} took it away at step ${event.step}, without waiting for ${lookup.threadName}${becomes === 'free' ? '' : `, and it is ${becomes}'s now`}.`,
    );
    sentences.push(...keptPages(replayed, block));
    break;
  }
  return sentences;
}

interface Loss {
  readonly event: TraceEvent;
  readonly block: number;
  readonly owner: string;
  readonly becomes: string;
}

/** Steps after which a block no longer belongs to the file that had it. */
function lossesOf(events: readonly TraceEvent[]): Loss[] {
  const losses: Loss[] = [];
  for (let i = 1; i < events.length; i++) {
    for (const { block, owner } of events[i].blocks) {
      const before = events[i - 1].blocks.find((other) => other.block === block);
      if (before === undefined || before.owner === owner || before.owner === 'free') continue;
      if (before.owner === 'claimed' || before.owner === 'metadata') continue;
      losses.push({ event: events[i], block, owner: before.owner, becomes: lastOwner(events, block) });
    }
  }
  return losses;
}

function lastOwner(events: readonly TraceEvent[], block: number): string {
  return events.at(-1)?.blocks.find((other) => other.block === block)?.owner ?? 'free';
}

/** The other thread's last transfer of that block that was asked for before: its lookup came right before. */
function lookupBefore(events: readonly TraceEvent[], { event, block }: Loss): TraceEvent | null {
  const at = events.findLastIndex(
    (other) =>
      other.step < event.step &&
      other.thread !== event.thread &&
      other.action === 'run' &&
      (other.effect === 'read' || other.effect === 'write') &&
      coversBlock(other.target, block),
  );
  if (at < 0) return null;
  const { thread } = events[at];
  const lookup = events.slice(0, at).findLast((other) => other.thread === thread && other.point?.endsWith(':mapped'));
  return lookup ?? events[at];
}

function coversBlock(target: string | null, block: number): boolean {
  const match = /^blocks? (\d+)(?: to (\d+))?$/.exec(target ?? '');
  return match !== null && Number(match[1]) <= block && block <= Number(match[2] ?? match[1]);
}

function droppedBefore(events: readonly TraceEvent[], { thread, step }: TraceEvent): TraceEvent | null {
  const found = events.findLast(
    (event) => event.step < step && event.thread === thread && /:(dropped|flushed)$/.test(event.point ?? ''),
  );
  return found ?? null;
}

function keptPages({ events }: Replayed, block: number): string[] {
  const last = events.at(-1);
  const kept = last?.pages.filter((page) => page.block === block && page.content !== 'zero') ?? [];
  const owner = last?.blocks.find((other) => other.block === block)?.owner;
  return kept
    .filter(({ file }) => file !== owner)
    .map(
      ({ file, page }) =>
        `So the cache still has page ${page} of ${file} with the bytes of block ${block}, though ${file} does not own that block any more.`,
    );
}

/** A turn as a sentence's end: `has dropped the pages …; then it has had the device read block 76`. */
export function turnInWords({ events, from, to }: Turn): string {
  if (events.length === 0) return from === to ? 'takes one small step' : 'gets under way';
  return events.map(eventInWords).join('; then it ');
}
