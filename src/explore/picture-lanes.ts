/**
 * A schedule as lanes: for each thread of the scenario its events, and as bars what it held, what it slept for and which
 * transfers it had under way.
 *
 *  1. Steps count from 1, and a bar covers whole steps: `from` is the first step after which it held, `to` the last.
 *  2. What a thread has stays as its last event says until its next event: nobody else changes it.
 *  3. A bar that is open has no end within the schedule.
 *
 * A lock that is taken and given back within one step is no bar: nobody could run in between.
 */
import type { Replayed } from './explore.js';
import type { TraceEvent } from './trace.js';

export type BarKind = 'shared' | 'exclusive' | 'mutex' | 'wait' | 'transfer';

export interface Bar {
  readonly kind: BarKind;
  /** The lock, or the blocks. */
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly isOpen: boolean;
}

export interface Lane {
  readonly thread: number;
  readonly name: string;
  readonly events: readonly TraceEvent[];
  /** By their first step. */
  readonly bars: readonly Bar[];
}

/** Steps of the schedule; the one that failed may have come to no event. */
export function countSteps({ events, failure }: Replayed): number {
  return Math.max(events.length, failure?.step ?? 0, 1);
}

export function lanesOf(replayed: Replayed): Lane[] {
  const last = countSteps(replayed);
  return replayed.scenario.threads.map(({ name }, thread) => {
    const events = replayed.events.filter((event) => event.thread === thread);
    return { thread, name, events, bars: barsOf(events, last) };
  });
}

function barsOf(events: readonly TraceEvent[], last: number): Bar[] {
  const bars: Bar[] = [];
  let open = new Map<string, { kind: BarKind; name: string; from: number }>();
  for (const event of events) {
    const next = new Map<string, { kind: BarKind; name: string; from: number }>();
    for (const { kind, name } of conditionsOf(event)) {
      const key = `${kind} ${name}`;
      next.set(key, open.get(key) ?? { kind, name, from: event.step });
    }
    for (const [key, bar] of open) if (!next.has(key)) bars.push({ ...bar, to: event.step - 1, isOpen: false });
    open = next;
  }
  for (const bar of open.values()) bars.push({ ...bar, to: last, isOpen: true });
  return bars.sort((a, b) => a.from - b.from || b.to - a.to);
}

function conditionsOf({ held, waitsFor, effect, action, target }: TraceEvent): { kind: BarKind; name: string }[] {
  const conditions: { kind: BarKind; name: string }[] = held.map(({ lock, mode }) => ({ kind: mode, name: lock }));
  if (waitsFor !== null) conditions.push({ kind: 'wait', name: waitsFor });
  const isTransfer = effect === 'read' || effect === 'write' || effect === 'flush' || effect === 'discard';
  if (isTransfer && action === 'run') conditions.push({ kind: 'transfer', name: `${effect} ${target ?? ''}`.trim() });
  return conditions;
}
