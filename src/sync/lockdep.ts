/**
 * Lockdep: the order of locks, asserted per task. Present in verify mode only, which all tests run in; hot paths ask
 * `task.lockdep !== null` and nothing else.
 *
 * 1. Locks are taken in ascending rank (LockRank); two of one rank only where stated: pages of one mapping, in ascending
 *    index.
 * 2. No lock is taken twice by one task, shared or not: a writer that queues in between makes it a deadlock.
 * 3. What is released was held.
 *
 * A violation throws an AssertionError that names both locks, before the lock is touched. Things that are waited for like
 * a lock are told to lockdep by their owner: an open journal handle, a page lock (by the page record's offset). Metadata
 * pages are exempt, and their owner does not tell. A single thread uses an instance: its task's.
 */
import { AssertionError } from '../assert.js';
import type { Arena } from './arena.js';
import { Page } from './layout.js';

export const enum LockRank {
  Names = 1,
  IRwsem,
  InvalidateLock,
  PageLock,
  Commit,
  Checkpoint,
  JournalHandle,
  ExtentMap,
  InodeTable,
  Growth,
  AllocatorGroup,
}

/** Index: LockRank. */
export const LOCK_RANK_NAMES = [
  'unranked lock',
  'names lock',
  'i_rwsem',
  'invalidate_lock',
  'page lock',
  'commit lock',
  'checkpoint lock',
  'journal handle',
  'extent-map lock',
  'inode-table lock',
  'growth lock',
  'allocator-group lock',
] as const;

export const enum LockMode {
  Shared = 1,
  Exclusive = 2,
  /** Exclusive, of a mutex; told apart in the stack of held locks. */
  Mutex = 3,
}

export class Lockdep {
  private readonly ranks: number[] = [];
  private readonly ats: number[] = [];
  private readonly modes: number[] = [];

  constructor(private readonly arena: Arena) {}

  /** Before a lock is taken. `isTry`: the caller does not sleep for it, so only recursion is a fault, not the order. */
  acquire(rank: LockRank, at: number, mode: LockMode, isTry: boolean): void {
    for (let i = this.ranks.length - 1; i >= 0; i--) {
      if (this.ats[i] === at && this.ranks[i] === rank) this.fail('recursive acquisition', rank, at, mode, i);
      if (!isTry) this.checkOrder(rank, at, mode, i);
    }
    this.ranks.push(rank);
    this.ats.push(at);
    this.modes.push(mode);
  }

  release(rank: LockRank, at: number): void {
    for (let i = this.ranks.length - 1; i >= 0; i--) {
      if (this.ats[i] !== at || this.ranks[i] !== rank) continue;
      this.ranks.splice(i, 1);
      this.ats.splice(i, 1);
      this.modes.splice(i, 1);
      return;
    }
    throw new AssertionError(`lockdep: releasing ${LOCK_RANK_NAMES[rank]} at ${at}, which this task does not hold`);
  }

  /** Whether this task holds the lock; of `mode` only where one is given (a mutex is held exclusive). */
  holds(rank: LockRank, at: number, mode?: LockMode): boolean {
    for (let i = this.ranks.length - 1; i >= 0; i--) {
      if (this.ats[i] !== at || this.ranks[i] !== rank) continue;
      return mode === undefined || (mode === LockMode.Shared) === (this.modes[i] === LockMode.Shared);
    }
    return false;
  }

  assertHeld(rank: LockRank, at: number, mode?: LockMode): void {
    if (this.holds(rank, at, mode)) return;
    throw new AssertionError(
      `lockdep: ${LOCK_RANK_NAMES[rank]} at ${at} must be held${modeName(mode)}; held: ${this.describe()}`,
    );
  }

  /** For waits that are no lock (page writeback, room in the journal): nothing of a higher rank may be held. */
  assertMayWait(rank: LockRank, what: string): void {
    for (let i = 0; i < this.ranks.length; i++) {
      if (this.ranks[i] > rank) {
        throw new AssertionError(`lockdep: waiting for ${what} while holding ${this.describe()}`);
      }
    }
  }

  assertNothingHeld(): void {
    if (this.ranks.length > 0) throw new AssertionError(`lockdep: still held: ${this.describe()}`);
  }

  /** The held locks in order of acquisition, for messages. */
  describe(): string {
    if (this.ranks.length === 0) return 'nothing';
    return this.ranks.map((rank, i) => describeLock(rank, this.ats[i], this.modes[i])).join(', ');
  }

  private checkOrder(rank: LockRank, at: number, mode: LockMode, held: number): void {
    const heldRank = this.ranks[held];
    if (heldRank < rank) return;
    if (heldRank === LockRank.PageLock && rank === LockRank.PageLock && this.isLaterPage(at, this.ats[held])) return;
    this.fail('lock order inverted', rank, at, mode, held);
  }

  /** Pages lock in ascending index of one mapping. A detached page is in no mapping and no order. */
  private isLaterPage(at: number, heldAt: number): boolean {
    const { words, unsigned } = this.arena;
    const mapping = words[at + Page.Mapping];
    const heldMapping = words[heldAt + Page.Mapping];
    if (mapping === 0 || heldMapping === 0) return true;
    return mapping === heldMapping && unsigned[at + Page.Index] > unsigned[heldAt + Page.Index];
  }

  private fail(fault: string, rank: LockRank, at: number, mode: LockMode, held: number): never {
    const wanted = describeLock(rank, at, mode);
    const other = describeLock(this.ranks[held], this.ats[held], this.modes[held]);
    throw new AssertionError(`lockdep: ${fault}: acquiring ${wanted} while holding ${other}; all: ${this.describe()}`);
  }
}

function describeLock(rank: LockRank, at: number, mode: LockMode): string {
  return `${LOCK_RANK_NAMES[rank]} at ${at}${modeName(mode)}`;
}

function modeName(mode: LockMode | undefined): string {
  if (mode === undefined) return '';
  return mode === LockMode.Shared ? ' shared' : ' exclusive';
}
