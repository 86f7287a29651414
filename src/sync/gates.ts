/**
 * Gates at the schedule points (routine/points.ts): a test holds one, real threads that reach the point stop there, the
 * test does what the race needs, and lets them go. Any thread may hold and release; the blocking driver stops at them.
 *
 * Costs nothing until the first gate of a store is held (HeaderFlag.Gates).
 */
import { type PointName, pointNumber } from '../routine/points.js';
import type { Arena } from './arena.js';
import { Gate, Header, HeaderFlag } from './layout.js';

export function gateAt(arena: Arena, point: number): number {
  return arena.layout.gates + point * Gate.Words;
}

/** From now on, threads that reach the point stop there. Counts arrivals from 0. */
export function holdPoint(arena: Arena, name: PointName): void {
  const at = gateAt(arena, pointNumber(name));
  Atomics.store(arena.words, at + Gate.Arrived, 0);
  Atomics.store(arena.words, at + Gate.Held, 1);
  Atomics.or(arena.words, Header.Flags, HeaderFlag.Gates);
}

/** Lets all go that stand at the point, and those to come. */
export function releasePoint(arena: Arena, name: PointName): void {
  const at = gateAt(arena, pointNumber(name));
  Atomics.store(arena.words, at + Gate.Held, 0);
  Atomics.notify(arena.words, at + Gate.Held);
}

/** Threads that have stopped at the point since it was last held. */
export function arrivedAt(arena: Arena, name: PointName): number {
  return Atomics.load(arena.words, gateAt(arena, pointNumber(name)) + Gate.Arrived);
}

/** Blocks the calling thread until `count` threads have arrived; answers whether they did within the time. */
export function waitArrived(arena: Arena, name: PointName, count: number, timeoutMs: number): boolean {
  const word = gateAt(arena, pointNumber(name)) + Gate.Arrived;
  const end = performance.now() + timeoutMs;
  for (;;) {
    const arrived = Atomics.load(arena.words, word);
    if (arrived >= count) return true;
    const left = end - performance.now();
    if (left <= 0) return false;
    Atomics.wait(arena.words, word, arrived, left);
  }
}
