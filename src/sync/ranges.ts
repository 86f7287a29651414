/**
 * The ranges of pages that threads hold: RANGES_MAX records for each thread, which no other thread can take from it. So there
 * is no table that could be full, nothing to wait for, and nothing that fails as long as no thread holds more than so many
 * locks with ranges at once (the locks of one inode are two).
 *
 * A record is its thread's own but for what the lock's list makes of it (range-lock.ts). It goes by its word offset.
 */
import { assert } from '../assert.js';
import type { Task } from '../routine/task.js';
import { RANGES_MAX, Range } from './layout.js';
import type { LockMode } from './lockdep.js';

export const enum RangeState {
  Free,
  /** Its thread waits for earlier ones. */
  Waiting,
  Held,
}

/** Fills one of the task's own records in, as held, and gives its offset. Other threads do not see it yet. */
export function claimRange(task: Task, lock: number, mode: LockMode, first: number, end: number): number {
  const { words } = task;
  const record = findRange(task, 0);
  if (record === 0) tooMany(task);
  words[record + Range.State] = RangeState.Held;
  words[record + Range.Lock] = lock;
  words[record + Range.First] = first;
  words[record + Range.End] = end;
  words[record + Range.Mode] = mode;
  return record;
}

/** The task's record for the lock, or a free one for no lock; 0 if there is none. */
export function findRange(task: Task, lock: number): number {
  const { words, ranges } = task;
  for (let record = ranges; record < ranges + RANGES_MAX * Range.Words; record += Range.Words) {
    if (words[record + Range.Lock] === lock) return record;
  }
  return 0;
}

export function freeRange(task: Task, record: number): void {
  task.words[record + Range.Lock] = 0;
}

/** Whether the task holds the lock over all of the pages [first, end). */
export function holdsRange(task: Task, lock: number, mode: LockMode, first: number, end: number): boolean {
  const record = findRange(task, lock);
  if (record === 0) return false;
  const { words } = task;
  const { unsigned } = task.arena;
  return (
    words[record + Range.State] === RangeState.Held &&
    words[record + Range.Mode] === mode &&
    unsigned[record + Range.First] <= first &&
    unsigned[record + Range.End] >= end
  );
}

function tooMany(task: Task): never {
  assert(false, `thread ${task.thread} holds more than ${RANGES_MAX} ranges`);
}
