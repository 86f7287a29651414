/**
 * Takes and releases the locks that the store's scheme asks for around an operation on an inode.
 *
 * One guard per thread. What a table says is worked out once, at construction, into a mask per operation; a hot path asks
 * with `tryEnter`, a slow path with `enter`, and both give back with `leave`. Locks: IRwsem, then InvalidateLock, each of
 * the type that the scheme names for it (lock-types.ts).
 *
 *  1. `held` is what the caller took with an earlier `enter` on the same inode: it is not taken again, so that no thread
 *     ever holds a lock shared twice (which deadlocks as soon as a writer queues in between).
 *  2. A hold is never turned into a stronger one.
 *  3. Who drops pages holds every lock by which its row of the table keeps fills away (`assertInvalidating`).
 *  4. [first, end) are all pages that the operation looks at or changes, those included of which it touches a part. Left out,
 *     it is the whole file: right for whatever may change the size.
 */
import { assert } from '../assert.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { Inode } from '../sync/layout.js';
import { coverVersioned } from '../sync/versioned-rwsem.js';
import { READS_IN_ORDER, versionOf } from '../sync/versions.js';
import { MAX_FILE_PAGES, type Slot } from '../units.js';
import {
  acquire,
  checkHold,
  excludes,
  HOLDS,
  HoldMode,
  holdsAgainstFills,
  LOCK_TYPES,
  LockType,
  release,
  tryAcquire,
} from './lock-types.js';
import {
  FILL_OPERATIONS,
  LOCK_COLUMNS,
  type LockColumn,
  OPERATIONS,
  type Operation,
  type OperationName,
  type Scheme,
} from './scheme.js';

/** Bits of a mask that hold one column's HoldMode: i_rwsem's are the lowest, invalidate_lock's lie above them. */
const HOLD_BITS = 4;
const HOLD_MASK = 15;

/** What a guard took, as a mask. */
export const enum Taken {
  Nothing = 0,
  IRwsemShared = 1,
  IRwsemExclusive = 2,
  InvalidateShared = 16,
  InvalidateExclusive = 32,
}

export class Guard {
  /** What each operation takes; indexed by Operation. */
  private readonly masks: Uint8Array;
  /** Whether a lock of the scheme knows ranges: who changes the size holds the file to its end then (file/enter.ts). */
  readonly locksRanges: boolean;
  /** Whether a read hit does without i_rwsem where `versionOf` tells that nobody held it exclusive meanwhile. */
  readonly validatesReads: boolean;
  private readonly iRwsem: LockType;
  private readonly invalidateLock: LockType;
  /** Columns by which an operation keeps fills away, as bits: 1 for i_rwsem, 2 for invalidate_lock; indexed by Operation. */
  private readonly keepsFillsAway: Uint8Array;

  constructor(
    private readonly arena: Arena,
    readonly scheme: Scheme,
  ) {
    const { table, locks } = scheme;
    for (const column of LOCK_COLUMNS) {
      for (const name of OPERATIONS) checkHold(locks[column], table[name][column]);
    }
    this.masks = Uint8Array.from(OPERATIONS, (name) => {
      const cell = table[name];
      return HOLDS.indexOf(cell.iRwsem) | (HOLDS.indexOf(cell.invalidateLock) << HOLD_BITS);
    });
    this.iRwsem = LOCK_TYPES.indexOf(locks.iRwsem);
    this.invalidateLock = LOCK_TYPES.indexOf(locks.invalidateLock);
    this.keepsFillsAway = Uint8Array.from(OPERATIONS, (name) => columnsAgainstFills(scheme, name));
    this.locksRanges = this.iRwsem === LockType.Range || this.invalidateLock === LockType.Range;
    this.validatesReads = table.readHit.iRwsem === 'validated' && READS_IN_ORDER;
  }

  /** What `operation` takes, as a mask of Taken. */
  maskOf(operation: Operation): number {
    return this.masks[operation];
  }

  /** Takes the operation's locks if all are free; `leave(task, slot, maskOf(operation))` gives them back. */
  tryEnter(task: Task, slot: Slot, operation: Operation, first = 0, end = MAX_FILE_PAGES): boolean {
    const mask = this.masks[operation];
    return mask === 0 || this.tryTake(task, slot, mask, first, end);
  }

  /** Takes what the operation needs beyond `held`; returns what it took, to be given to `leave`. */
  *enter(
    task: Task,
    slot: Slot,
    operation: Operation,
    first = 0,
    end = MAX_FILE_PAGES,
    held = Taken.Nothing as number,
  ): Routine<number> {
    const mask = missing(this.masks[operation], held);
    if (mask === 0 || (!task.yieldsAtLocks && this.tryTake(task, slot, mask, first, end))) return mask;
    const record = this.recordOf(slot);
    const upper = mask & HOLD_MASK;
    const lower = mask >>> HOLD_BITS;
    if (upper !== 0) yield* acquire(this.iRwsem, task, record + Inode.IRwsem, upper, first, end);
    if (lower === 0) return mask;
    try {
      yield* acquire(this.invalidateLock, task, record + Inode.InvalidateLock, lower, first, end);
    } catch (error) {
      this.leave(task, slot, upper);
      throw error;
    }
    return mask;
  }

  leave(task: Task, slot: Slot, taken: number): void {
    if (taken === 0) return;
    const record = this.recordOf(slot);
    const upper = taken & HOLD_MASK;
    const lower = taken >>> HOLD_BITS;
    if (lower !== 0) release(this.invalidateLock, task, record + Inode.InvalidateLock, lower);
    if (upper !== 0) release(this.iRwsem, task, record + Inode.IRwsem, upper);
  }

  /** What stands for the content of the pages while nobody holds i_rwsem exclusive over any of them; CHANGING when somebody does. */
  versionOf(slot: Slot, first: number, end: number): number {
    return versionOf(this.arena, this.recordOf(slot) + Inode.IRwsem, first, end);
  }

  /** The task, which has entered exclusive with no pages, now knows those that it is going to change. */
  cover(task: Task, slot: Slot, taken: number, first: number, end: number): void {
    if (this.iRwsem !== LockType.Versioned || (taken & HOLD_MASK) !== HoldMode.Exclusive) return;
    coverVersioned(task, this.recordOf(slot) + Inode.IRwsem, first, end);
  }

  /** Fails unless the task keeps fills away from the pages [first, end), as far as the scheme does so for the operation. */
  assertInvalidating(task: Task, slot: Slot, operation: Operation, first = 0, end = MAX_FILE_PAGES): void {
    const columns = this.keepsFillsAway[operation];
    const record = this.recordOf(slot);
    const held =
      ((columns & 1) === 0 || holdsAgainstFills(this.iRwsem, task, record + Inode.IRwsem, first, end)) &&
      ((columns & 2) === 0 || holdsAgainstFills(this.invalidateLock, task, record + Inode.InvalidateLock, first, end));
    assert(held, `pages of inode slot ${slot} dropped without its invalidation lock held exclusive`);
  }

  private recordOf(slot: Slot): number {
    return this.arena.layout.inodeRecords + slot * Inode.Words;
  }

  private tryTake(task: Task, slot: Slot, mask: number, first: number, end: number): boolean {
    const record = this.recordOf(slot);
    const upper = mask & HOLD_MASK;
    if (upper !== 0 && !tryAcquire(this.iRwsem, task, record + Inode.IRwsem, upper, first, end)) return false;
    const lower = mask >>> HOLD_BITS;
    if (lower === 0 || tryAcquire(this.invalidateLock, task, record + Inode.InvalidateLock, lower, first, end)) {
      return true;
    }
    this.leave(task, slot, upper);
    return false;
  }
}

function columnsAgainstFills({ table, locks }: Scheme, operation: OperationName): number {
  const excludesSome = (column: LockColumn) =>
    FILL_OPERATIONS.some((fill) => excludes(locks[column], table[fill][column], table[operation][column]));
  return Number(excludesSome('iRwsem')) + 2 * Number(excludesSome('invalidateLock'));
}

function missing(mask: number, held: number): number {
  if (held === 0) return mask;
  const upper = (held & HOLD_MASK) === 0 ? 0 : HOLD_MASK;
  const lower = held >>> HOLD_BITS === 0 ? 0 : HOLD_MASK << HOLD_BITS;
  const wanted = mask & (upper | lower);
  // What is held already must do: the same, or more than a shared hold.
  const isUpgrade = (part: number) => (wanted & part) > (held & part);
  assert(!isUpgrade(upper) && !isUpgrade(lower), 'a hold was to be turned into another one: upgraded');
  return mask & ~(upper | lower);
}
