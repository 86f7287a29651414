/**
 * The types of lock that may stand behind a column of a scheme, and what each of them excludes.
 *
 * The guard asks for a lock by its type's number, its first word in the inode's record, a hold, and the pages [first, end)
 * that the operation is about; a type that knows no ranges takes no notice of them. A switch, not objects: the hit paths come here.
 *
 *  1. A task holds one lock at most once, whatever the type. So a type finds what it has to give back by task and lock, and
 *     nobody carries tokens about.
 *  2. A lock's words lie in the inode's record, `Rwsem.Words` of them, zero at first but for the rank at `Rwsem.Rank`.
 *     What a type needs beyond them it keeps elsewhere in the arena.
 *  3. A hold that a type does not know is a broken table: `checkHold` says so when a guard is made.
 */
import { AssertionError } from '../assert.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import {
  acquireExclusive,
  acquireShared,
  holdsExclusive,
  releaseExclusive,
  releaseShared,
  tryAcquireExclusive,
  tryAcquireShared,
} from '../sync/rwsem.js';

/** How a lock may be held; the numbers of `HoldMode` index it. What a hold excludes is its type's affair. */
export const HOLDS = ['none', 'shared', 'exclusive'] as const;

export type Hold = (typeof HOLDS)[number];

export const enum HoldMode {
  None,
  Shared,
  Exclusive,
}

/** The types; the numbers of `LockType` index it. */
export const LOCK_TYPES = ['rwsem'] as const;

export type LockTypeName = (typeof LOCK_TYPES)[number];

export const enum LockType {
  /** sync/rwsem.ts: many shared or one exclusive, over the whole file. */
  Rwsem,
}

/** Whether two tasks may not hold a lock of that type at once, over the same pages. */
export function excludes(_type: LockTypeName, a: Hold, b: Hold): boolean {
  return a !== 'none' && b !== 'none' && (a === 'exclusive' || b === 'exclusive');
}

/** Throws unless locks of the type can be held so. */
export function checkHold(type: LockTypeName, hold: Hold): void {
  if (!LOCK_TYPES.includes(type) || !HOLDS.includes(hold)) throw new AssertionError(`no lock ${type} is held ${hold}`);
}

export function tryAcquire(
  type: LockType,
  task: Task,
  at: number,
  mode: HoldMode,
  _first: number,
  _end: number,
): boolean {
  switch (type) {
    case LockType.Rwsem:
      return mode === HoldMode.Exclusive ? tryAcquireExclusive(task, at) : tryAcquireShared(task, at);
  }
}

export function* acquire(
  type: LockType,
  task: Task,
  at: number,
  mode: HoldMode,
  _first: number,
  _end: number,
): Routine<void> {
  switch (type) {
    case LockType.Rwsem:
      if (mode === HoldMode.Exclusive) yield* acquireExclusive(task, at);
      else yield* acquireShared(task, at);
  }
}

export function release(type: LockType, task: Task, at: number, mode: HoldMode): void {
  switch (type) {
    case LockType.Rwsem:
      if (mode === HoldMode.Exclusive) releaseExclusive(task, at);
      else releaseShared(task, at);
  }
}

/** Whether the task holds the lock over all of [first, end) so that it keeps those out who take it for a fill. */
export function holdsAgainstFills(type: LockType, task: Task, at: number, _first: number, _end: number): boolean {
  switch (type) {
    case LockType.Rwsem:
      return holdsExclusive(task, at);
  }
}
