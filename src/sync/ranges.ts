/**
 * The ranges of pages that threads hold: RANGES_MAX records for each thread, which no other thread can take from it. So there
 * is no table that could be full, nothing to wait for, and nothing that fails as long as no thread holds more than so many
 * locks with ranges at once (the locks of one inode are two).
 *
 * A record is its thread's own but for what the lock's list makes of it (range-lock.ts). Records are numbered from 1.
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

/** Word offset of a record. */
export function rangeAt(task: Task, id: number): number {
  return task.arena.layout.ranges + (id - 1) * Range.Words;
}

/** Fills one of the task's own records in, as held; its number. Other threads do not see it yet. */
export function claimRange(task: Task, lock: number, mode: LockMode, first: number, end: number): number {
  const { words } = task;
  const own = task.thread * RANGES_MAX + 1;
  let id = own;
  while (id < own + RANGES_MAX && words[rangeAt(task, id) + Range.Lock] !== 0) id++;
  assert(id < own + RANGES_MAX, `thread ${task.thread} holds more than ${RANGES_MAX} ranges`);
  const record = rangeAt(task, id);
  words[record + Range.State] = RangeState.Held;
  words[record + Range.Lock] = lock;
  words[record + Range.First] = first;
  words[record + Range.End] = end;
  words[record + Range.Mode] = mode;
  return id;
}

/** The number of the task's record for the lock, or 0. */
export function findRange(task: Task, lock: number): number {
  const own = task.thread * RANGES_MAX + 1;
  for (let id = own; id < own + RANGES_MAX; id++) if (task.words[rangeAt(task, id) + Range.Lock] === lock) return id;
  return 0;
}

export function freeRange(task: Task, id: number): void {
  task.words[rangeAt(task, id) + Range.Lock] = 0;
}

/** Whether the task holds the lock over all of the pages [first, end). */
export function holdsRange(task: Task, lock: number, mode: LockMode, first: number, end: number): boolean {
  const id = findRange(task, lock);
  if (id === 0) return false;
  const { words } = task;
  const { unsigned } = task.arena;
  const record = rangeAt(task, id);
  return (
    words[record + Range.State] === RangeState.Held &&
    words[record + Range.Mode] === mode &&
    unsigned[record + Range.First] <= first &&
    unsigned[record + Range.End] >= end
  );
}
