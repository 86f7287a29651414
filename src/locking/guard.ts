/**
 * Takes and releases the locks that the store's scheme asks for around an operation on an inode.
 *
 * One guard per thread. What a table says is worked out once, at construction, into a mask per operation; a hot path asks
 * with `tryEnter`, a slow path with `enter`, and both give back with `leave`. Locks: IRwsem, then InvalidateLock.
 *
 *  1. `held` is what the caller took with an earlier `enter` on the same inode: it is not taken again, so that no thread
 *     ever holds a lock shared twice (which deadlocks as soon as a writer queues in between).
 *  2. A shared lock is never turned into an exclusive one.
 *  3. Who drops pages must hold, exclusively, a lock that every fill takes (`assertInvalidating`).
 */
import { assert } from '../assert.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { Inode } from '../sync/layout.js';
import {
  acquireExclusive,
  acquireShared,
  holdsExclusive,
  releaseExclusive,
  releaseShared,
  tryAcquireExclusive,
  tryAcquireShared,
} from '../sync/rwsem.js';
import type { Slot } from '../units.js';
import { FILL_OPERATIONS, type Hold, OPERATIONS, type Operation, type Scheme } from './schemes.js';

/** What a guard took, as a mask. */
export const enum Taken {
  Nothing = 0,
  IRwsemShared = 1,
  IRwsemExclusive = 2,
  InvalidateShared = 4,
  InvalidateExclusive = 8,
}

const I_RWSEM_MASK = Taken.IRwsemShared | Taken.IRwsemExclusive;
const INVALIDATE_MASK = Taken.InvalidateShared | Taken.InvalidateExclusive;

const HOLD_BIT: Record<Hold, number> = { none: 0, shared: 1, exclusive: 2 };

export class Guard {
  /** What each operation takes; indexed by Operation. */
  private readonly masks: Uint8Array;
  /** Locks of which a dropper of pages must hold one exclusively; nothing when no lock is taken by every fill. */
  private readonly invalidating: number;

  constructor(
    private readonly arena: Arena,
    readonly scheme: Scheme,
  ) {
    const { table } = scheme;
    this.masks = Uint8Array.from(OPERATIONS, (name) => {
      const cell = table[name];
      return HOLD_BIT[cell.iRwsem] + 4 * HOLD_BIT[cell.invalidateLock];
    });
    let invalidating = Taken.IRwsemExclusive | Taken.InvalidateExclusive;
    for (const name of FILL_OPERATIONS) {
      const cell = table[name];
      if (cell.iRwsem === 'none') invalidating &= ~Taken.IRwsemExclusive;
      if (cell.invalidateLock === 'none') invalidating &= ~Taken.InvalidateExclusive;
    }
    this.invalidating = invalidating;
  }

  /** What `operation` takes, as a mask of Taken. */
  maskOf(operation: Operation): number {
    return this.masks[operation];
  }

  /** Takes the operation's locks if all are free; `leave(task, slot, maskOf(operation))` gives them back. */
  tryEnter(task: Task, slot: Slot, operation: Operation): boolean {
    const mask = this.masks[operation];
    return mask === 0 || this.tryTake(task, slot, mask);
  }

  /** Takes what the operation needs beyond `held`; returns what it took, to be given to `leave`. */
  *enter(task: Task, slot: Slot, operation: Operation, held = 0): Routine<number> {
    const mask = this.missing(this.masks[operation], held);
    if (mask === 0 || this.tryTake(task, slot, mask)) return mask;
    const record = this.recordOf(slot);
    if ((mask & I_RWSEM_MASK) !== 0) {
      if ((mask & Taken.IRwsemExclusive) !== 0) yield* acquireExclusive(task, record + Inode.IRwsem);
      else yield* acquireShared(task, record + Inode.IRwsem);
    }
    try {
      if ((mask & Taken.InvalidateExclusive) !== 0) yield* acquireExclusive(task, record + Inode.InvalidateLock);
      else if ((mask & Taken.InvalidateShared) !== 0) yield* acquireShared(task, record + Inode.InvalidateLock);
    } catch (error) {
      this.leave(task, slot, mask & I_RWSEM_MASK);
      throw error;
    }
    return mask;
  }

  leave(task: Task, slot: Slot, taken: number): void {
    if (taken === 0) return;
    const record = this.recordOf(slot);
    if ((taken & Taken.InvalidateExclusive) !== 0) releaseExclusive(task, record + Inode.InvalidateLock);
    else if ((taken & Taken.InvalidateShared) !== 0) releaseShared(task, record + Inode.InvalidateLock);
    if ((taken & Taken.IRwsemExclusive) !== 0) releaseExclusive(task, record + Inode.IRwsem);
    else if ((taken & Taken.IRwsemShared) !== 0) releaseShared(task, record + Inode.IRwsem);
  }

  /** Fails unless the task keeps fills away from the inode's pages, as far as the scheme does so at all. */
  assertInvalidating(task: Task, slot: Slot): void {
    if (this.invalidating === 0) return;
    const record = this.recordOf(slot);
    const held =
      ((this.invalidating & Taken.InvalidateExclusive) !== 0 && holdsExclusive(task, record + Inode.InvalidateLock)) ||
      ((this.invalidating & Taken.IRwsemExclusive) !== 0 && holdsExclusive(task, record + Inode.IRwsem));
    assert(held, `pages of inode slot ${slot} dropped without its invalidation lock held exclusive`);
  }

  private recordOf(slot: Slot): number {
    return this.arena.layout.inodeRecords + slot * Inode.Words;
  }

  private missing(mask: number, held: number): number {
    let rest = mask;
    if ((held & I_RWSEM_MASK) !== 0) {
      assert((mask & Taken.IRwsemExclusive) === 0 || (held & Taken.IRwsemShared) === 0, 'i_rwsem upgraded');
      rest &= ~I_RWSEM_MASK;
    }
    if ((held & INVALIDATE_MASK) !== 0) {
      assert(
        (mask & Taken.InvalidateExclusive) === 0 || (held & Taken.InvalidateShared) === 0,
        'invalidate_lock upgraded',
      );
      rest &= ~INVALIDATE_MASK;
    }
    return rest;
  }

  private tryTake(task: Task, slot: Slot, mask: number): boolean {
    const record = this.recordOf(slot);
    if ((mask & I_RWSEM_MASK) !== 0) {
      const at = record + Inode.IRwsem;
      if (!((mask & Taken.IRwsemExclusive) !== 0 ? tryAcquireExclusive(task, at) : tryAcquireShared(task, at))) {
        return false;
      }
    }
    if ((mask & INVALIDATE_MASK) !== 0) {
      const at = record + Inode.InvalidateLock;
      if (!((mask & Taken.InvalidateExclusive) !== 0 ? tryAcquireExclusive(task, at) : tryAcquireShared(task, at))) {
        this.leave(task, slot, mask & I_RWSEM_MASK);
        return false;
      }
    }
    return true;
  }
}
