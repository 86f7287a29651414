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
import { LockMode } from '../sync/lockdep.js';
import { overlappingRange, publishRange, waitForRange, withdrawRange } from '../sync/published-range.js';
import { acquireRange, releaseRange, tryAcquireRange } from '../sync/range-lock.js';
import { holdsRange } from '../sync/ranges.js';
import {
  acquireBiasedExclusive,
  acquireBiasedShared,
  releaseBiasedExclusive,
  releaseBiasedShared,
  tryAcquireBiasedExclusive,
  tryAcquireBiasedShared,
} from '../sync/reader-biased.js';
import {
  acquireExclusive,
  acquireShared,
  holdsExclusive,
  releaseExclusive,
  releaseShared,
  tryAcquireExclusive,
  tryAcquireShared,
} from '../sync/rwsem.js';
import {
  acquireFilling,
  acquireInvalidating,
  isInvalidating,
  releaseFilling,
  releaseInvalidating,
  tryAcquireFilling,
  tryAcquireInvalidating,
} from '../sync/two-state.js';
import { acquireVersioned, releaseVersioned, tryAcquireVersioned } from '../sync/versioned-rwsem.js';

/**
 * How a lock may be held; the numbers of `HoldMode` index it. What a hold excludes is its type's affair. `fill` and `invalidate`
 * are the sides of a two-state lock. `validated` is a read that does without the lock as long as nobody holds it
 * exclusive over the read's pages meanwhile, and takes it shared when it has tried in vain. Who `waits` for what another one
 * `publishes` holds nothing afterwards.
 */
export const HOLDS = ['none', 'shared', 'exclusive', 'fill', 'invalidate', 'validated', 'waits', 'publishes'] as const;

export type Hold = (typeof HOLDS)[number];

export const enum HoldMode {
  None,
  Shared,
  Exclusive,
  Fill,
  Invalidate,
  Validated,
  Waits,
  Publishes,
}

/** The types; the numbers of `LockType` index it. */
export const LOCK_TYPES = ['rwsem', 'range', 'two-state', 'reader-biased', 'versioned', 'published-range'] as const;

export type LockTypeName = (typeof LOCK_TYPES)[number];

export const enum LockType {
  /** sync/rwsem.ts: many shared or one exclusive, over the whole file. */
  Rwsem,
  /** sync/range-lock.ts: as an rwsem, but only where pages overlap. */
  Range,
  /** sync/two-state.ts: many that fill or many that invalidate. */
  TwoState,
  /** sync/reader-biased.ts: an rwsem that a shared hold writes nothing to. */
  ReaderBiased,
  /** sync/versioned-rwsem.ts: an rwsem whose exclusive holds change versions. */
  Versioned,
  /** sync/published-range.ts: who comes later waits for the publisher, who came earlier is not waited for. */
  PublishedRange,
}

const RWSEM_HOLDS: readonly Hold[] = ['none', 'shared', 'exclusive'];

const HOLDS_OF: Record<LockTypeName, readonly Hold[]> = {
  rwsem: RWSEM_HOLDS,
  range: RWSEM_HOLDS,
  'two-state': ['none', 'fill', 'invalidate'],
  'reader-biased': RWSEM_HOLDS,
  versioned: [...RWSEM_HOLDS, 'validated'],
  'published-range': ['none', 'waits', 'publishes'],
};

/** Whether two tasks may not hold a lock of that type at once, over the same pages. */
export function excludes(type: LockTypeName, a: Hold, b: Hold): boolean {
  if (type === 'two-state') return a !== 'none' && b !== 'none' && a !== b;
  const isHeld = (hold: Hold) => hold === 'shared' || hold === 'exclusive';
  return isHeld(a) && isHeld(b) && (a === 'exclusive' || b === 'exclusive');
}

/** Throws unless locks of the type can be held so. */
export function checkHold(type: LockTypeName, hold: Hold): void {
  if (!HOLDS_OF[type]?.includes(hold)) throw new AssertionError(`no lock ${type} is held ${hold}`);
}

export function tryAcquire(
  type: LockType,
  task: Task,
  at: number,
  mode: HoldMode,
  first: number,
  end: number,
): boolean {
  switch (type) {
    case LockType.Rwsem:
      return mode === HoldMode.Exclusive ? tryAcquireExclusive(task, at) : tryAcquireShared(task, at);
    case LockType.Range:
      return tryAcquireRange(task, at, rangeMode(mode), first, end);
    case LockType.TwoState:
      return mode === HoldMode.Invalidate ? tryAcquireInvalidating(task, at) : tryAcquireFilling(task, at);
    case LockType.ReaderBiased:
      return mode === HoldMode.Exclusive ? tryAcquireBiasedExclusive(task, at) : tryAcquireBiasedShared(task, at);
    case LockType.Versioned:
      return mode === HoldMode.Exclusive ? tryAcquireVersioned(task, at, first, end) : tryAcquireShared(task, at);
    case LockType.PublishedRange:
      if (mode === HoldMode.Publishes) publishRange(task, at, first, end);
      return mode === HoldMode.Publishes || overlappingRange(task, at, first, end) === 0;
  }
}

export function* acquire(
  type: LockType,
  task: Task,
  at: number,
  mode: HoldMode,
  first: number,
  end: number,
): Routine<void> {
  switch (type) {
    case LockType.Rwsem:
      yield* mode === HoldMode.Exclusive ? acquireExclusive(task, at) : acquireShared(task, at);
      break;
    case LockType.Range:
      yield* acquireRange(task, at, rangeMode(mode), first, end);
      break;
    case LockType.TwoState:
      yield* mode === HoldMode.Invalidate ? acquireInvalidating(task, at) : acquireFilling(task, at);
      break;
    case LockType.ReaderBiased:
      yield* mode === HoldMode.Exclusive ? acquireBiasedExclusive(task, at) : acquireBiasedShared(task, at);
      break;
    case LockType.Versioned:
      yield* mode === HoldMode.Exclusive ? acquireVersioned(task, at, first, end) : acquireShared(task, at);
      break;
    case LockType.PublishedRange:
      if (mode === HoldMode.Publishes) publishRange(task, at, first, end);
      else yield* waitForRange(task, at, first, end);
  }
}

export function release(type: LockType, task: Task, at: number, mode: HoldMode): void {
  switch (type) {
    case LockType.Rwsem:
      if (mode === HoldMode.Exclusive) releaseExclusive(task, at);
      else releaseShared(task, at);
      break;
    case LockType.Range:
      releaseRange(task, at);
      break;
    case LockType.TwoState:
      if (mode === HoldMode.Invalidate) releaseInvalidating(task, at);
      else releaseFilling(task, at);
      break;
    case LockType.ReaderBiased:
      if (mode === HoldMode.Exclusive) releaseBiasedExclusive(task, at);
      else releaseBiasedShared(task, at);
      break;
    case LockType.Versioned:
      if (mode === HoldMode.Exclusive) releaseVersioned(task, at);
      else releaseShared(task, at);
      break;
    case LockType.PublishedRange:
      if (mode === HoldMode.Publishes) withdrawRange(task, at);
  }
}

/** Whether the task holds the lock over all of [first, end) so that it keeps those out who take it for a fill. */
export function holdsAgainstFills(type: LockType, task: Task, at: number, first: number, end: number): boolean {
  switch (type) {
    case LockType.Range:
      return holdsRange(task, at, LockMode.Exclusive, first, end);
    case LockType.TwoState:
      return isInvalidating(task, at);
    case LockType.PublishedRange:
      return false;
    default:
      return holdsExclusive(task, at);
  }
}

function rangeMode(mode: HoldMode): LockMode {
  return mode === HoldMode.Exclusive ? LockMode.Exclusive : LockMode.Shared;
}
