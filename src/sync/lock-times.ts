/**
 * How long locks are waited for and held, as histograms, in a store that was opened with `lockTimes`. One for each task, which
 * alone calls it; the histograms lie in the arena, where the opening thread sums them up.
 *
 * 1. Elsewhere a task has none: an acquisition asks `task.lockTimes !== null`, and no clock is read.
 * 2. A hold begins when the lock is taken, or when the wait for it ends, and lasts until it is given back. A try that failed is none.
 *    Page locks are not on the stack of held locks, and a task may have many: their times are kept by frame. Waiting for a page
 *    to be unlocked counts as waiting for its lock. Journal handles are not timed.
 * 3. Buckets: BUCKETS_PER_OCTAVE for each power of two from LEAST_NS on, so that a figure is off by at most a sixteenth. What
 *    is shorter shares the first, what takes hours the last.
 *
 * The clock is `performance.now`: the driver's counts from 1970, and tells no less than a quarter of a microsecond.
 */
import type { Arena } from './arena.js';
import { HELD_MAX, LOCK_TIME_BUCKETS, LOCK_TIME_RANKS, LOCK_TIME_WORDS, Mutex, Rwsem, Thread } from './layout.js';
import { LOCK_RANK_NAMES, LockMode, LockRank } from './lockdep.js';

const BUCKETS_PER_OCTAVE = 8;
const LEAST_NS = 64;

/** Counts by duration: the middle of each bucket that is not empty, and what fell into it. */
export type DurationBins = [ns: number, count: number][];

export interface LockTimeBins {
  wait: DurationBins;
  hold: DurationBins;
}

export class LockTimes {
  /** When the lock at each place of the stack was taken; NaN where it was not. */
  private readonly sinceMs = new Float64Array(HELD_MAX);
  /** When the pages that the task has locked were locked, by frame. */
  private readonly pagesSinceMs = new Map<number, number>();
  private readonly words: Int32Array;
  private readonly histograms: number;
  private readonly record: number;

  constructor(arena: Arena, thread: number) {
    this.words = arena.words;
    this.record = arena.layout.threadRecords + thread * Thread.Words;
    this.histograms = arena.layout.lockTimes + thread * LOCK_TIME_WORDS;
  }

  /** A lock was pushed on the stack, at this place. */
  began(depth: number): void {
    this.sinceMs[depth] = performance.now();
  }

  /** The lock on top of the stack was not taken after all. */
  failed(): void {
    this.sinceMs[this.words[this.record + Thread.HeldDepth] - 1] = Number.NaN;
  }

  /** A wait of that long for a lock of `rank` is over. */
  waited(rank: number, ms: number): void {
    this.note(rank, 0, ms);
    const top = this.words[this.record + Thread.HeldDepth] - 1;
    if (top >= 0 && this.rankAt(top) === rank) this.sinceMs[top] = performance.now();
  }

  /** Before the lock is taken off the stack, where the last entry moves to its place. */
  ended(at: number): void {
    const last = this.words[this.record + Thread.HeldDepth] - 1;
    for (let depth = last; depth >= 0; depth--) {
      if (this.words[this.record + Thread.Held + 2 * depth] !== at) continue;
      const since = this.sinceMs[depth];
      if (!Number.isNaN(since)) this.note(this.rankAt(depth), 1, performance.now() - since);
      this.sinceMs[depth] = this.sinceMs[last];
      return;
    }
  }

  /** The task has locked the page in this frame. */
  pageBegan(frame: number): void {
    this.pagesSinceMs.set(frame, performance.now());
  }

  pageEnded(frame: number): void {
    const since = this.pagesSinceMs.get(frame);
    if (since === undefined) return;
    this.pagesSinceMs.delete(frame);
    this.note(LockRank.PageLock, 1, performance.now() - since);
  }

  private rankAt(depth: number): number {
    const entry = this.record + Thread.Held + 2 * depth;
    const at = this.words[entry];
    return this.words[at + (this.words[entry + 1] === LockMode.Mutex ? Mutex.Rank : Rwsem.Rank)];
  }

  private note(rank: number, kind: 0 | 1, ms: number): void {
    const octaves = Math.log2((ms * 1e6) / LEAST_NS);
    const bucket = Math.min(LOCK_TIME_BUCKETS - 1, Math.max(0, Math.floor(octaves * BUCKETS_PER_OCTAVE)));
    this.words[this.histograms + (2 * rank + kind) * LOCK_TIME_BUCKETS + bucket]++;
  }
}

/** The histograms of all threads, by kind of lock; null in a store that was opened without. */
export function sumLockTimes({ layout, unsigned }: Arena): Record<string, LockTimeBins> | null {
  if (layout.timesLocks !== true) return null;
  const binsOf = (rank: number, kind: 0 | 1): DurationBins => {
    const bins: DurationBins = [];
    for (let bucket = 0; bucket < LOCK_TIME_BUCKETS; bucket++) {
      let count = 0;
      for (let thread = 0; thread < layout.threads; thread++) {
        count += unsigned[layout.lockTimes + thread * LOCK_TIME_WORDS + (2 * rank + kind) * LOCK_TIME_BUCKETS + bucket];
      }
      if (count > 0) bins.push([LEAST_NS * 2 ** ((bucket + 0.5) / BUCKETS_PER_OCTAVE), count]);
    }
    return bins;
  };
  const times: Record<string, LockTimeBins> = {};
  for (let rank = 1; rank < LOCK_TIME_RANKS; rank++) {
    const [wait, hold] = [binsOf(rank, 0), binsOf(rank, 1)];
    if (wait.length + hold.length > 0) times[LOCK_RANK_NAMES[rank]] = { wait, hold };
  }
  return times;
}
