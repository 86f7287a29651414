/**
 * The allocator: blocks of the device are promised (`reserve`), claimed, published, freed, quarantined and released. Any
 * thread may call.
 *
 *   free ──claim──▶ claimed ──publish──▶ in use ──free──▶ quarantined ──transaction durable, discarded──▶ free
 *                      └──unclaim──▶ free                       ▲ └──transaction durable──▶ free ──┐
 *                                                               └──────────trimming────────────────┘
 *
 * 1. Claims and quarantined runs are exclusions (exclusion-records.ts): clear in the bitmaps, and not to be had.
 * 2. A bitmap changes inside a journal handle, under its group's mutex. So after a commit the bitmaps on the device are
 *    exactly what the extent trees and metadata of that transaction say, and BlocksFree in the superblock is their sum.
 * 3. Freed blocks are neither reused nor discarded before the transaction that freed them is durable. Short runs are
 *    discarded later, if they are still free then (trim.ts).
 * 4. Publishing what is not claimed is an assertion. Freeing what is not in use is EUCLEAN: the device may say so.
 *
 * Locks: Growth and AllocatorGroup (so: callers may hold an extent-map or the inode table lock), Checkpoint for a
 * release. A claim outside a handle may open one and may commit: no lock above a page lock may be held then.
 */
import { assert } from '../assert.js';
import { corrupt, StoreError } from '../errors.js';
import { markFree, markUsed, nextFree, nextUsed } from '../format/bitmap.js';
import { bitmapBlock, type Geometry, groupLength, groupOf, groupStart } from '../format/geometry.js';
import { checkpointLock } from '../journal/checkpoint.js';
import type { DurableListener, Journal } from '../journal/journal.js';
import type { Metadata } from '../journal/metadata.js';
import { type Routine, TIMED_OUT } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { GlobalLock, GROUP_LOCKS, Header, Mutex } from '../sync/layout.js';
import { LockRank } from '../sync/lockdep.js';
import { initMutex, lockMutex, tryLockMutex, unlockMutex } from '../sync/mutex.js';
import { Count, count } from '../sync/statistics.js';
import { Claims } from './claims.js';
import { DataChecksums } from './data-checksums.js';
import { ExclusionRecords, initExclusions } from './exclusion-records.js';
import { type ClaimedRun, Found, GroupSearch, Take } from './group-search.js';
import { type BlockRange, Quarantine } from './quarantine.js';
import { Keep, Space } from './space.js';
import { Trim } from './trim.js';

/** Credits: metadata blocks that one call may dirty in its caller's handle. */
export const CLAIM_CREDITS = 1;
export const PUBLISH_CREDITS = 1;
export const FREE_CREDITS = 1;
/** The bitmap, and that of a new group; not the allocated block itself. */
export const ALLOCATE_METADATA_CREDITS = 2;

/** Commits that a request waits for, for the sake of what they release, before it gives up. */
const COMMITS_MAX = 4;
/** So many quarantined runs make a commit in the background worth while: searches look at them all. */
const QUARANTINED_MAX = 4096;
/** How long a claim waits for another one to end, when all records for claims are taken. */
const RECORD_WAIT_MS = 10_000;

/** Makes the allocator's locks and records. Called once, by the opening thread, before the arena is shared. */
export function initAllocator(arena: Arena): void {
  const { locks } = arena.layout;
  initMutex(arena, locks + GlobalLock.Growth, LockRank.Growth);
  for (let i = 0; i < GROUP_LOCKS; i++)
    initMutex(arena, locks + GlobalLock.Groups + i * Mutex.Words, LockRank.AllocatorGroup);
  initExclusions(arena);
}

export class Allocator implements DurableListener {
  private readonly records: ExclusionRecords;
  private readonly claims: Claims;
  private readonly quarantine: Quarantine;
  private readonly space: Space;
  private readonly groups: GroupSearch;
  private readonly trim: Trim;
  private readonly block: ClaimedRun = { start: 0, length: 0 };
  private readonly quarantinedMax: number;
  /** Checksums of data blocks, on stores that have them. */
  readonly checksums: DataChecksums | null;

  constructor(
    readonly arena: Arena,
    readonly journal: Journal,
    readonly metadata: Metadata,
    readonly geometry: Geometry,
  ) {
    this.records = new ExclusionRecords(arena);
    this.claims = new Claims(this.records);
    this.quarantine = new Quarantine(this.records);
    this.space = new Space(arena, this.records);
    this.groups = new GroupSearch(arena, journal, metadata, this.records, this.claims, this.quarantine, geometry);
    this.trim = new Trim(arena, this.records, this.quarantine, this.groups, this.space, metadata, geometry);
    this.checksums = geometry.dataChecksums
      ? new DataChecksums(journal, metadata, geometry, this.groups, this.records)
      : null;
    this.quarantinedMax = Math.min(QUARANTINED_MAX, Math.floor(arena.layout.exclusions / 4));
    journal.listener = this;
  }

  /** Promises `pages` blocks to delayed allocation. False: not enough; `reserveWaiting` may still succeed. */
  reserve(task: Task, pages: number): boolean {
    return this.space.reserve(task, pages, Keep.All);
  }

  /** `reserve`; commits where freed blocks only wait for that. False is ENOSPC. The caller has no handle. */
  reserveWaiting(task: Task, pages: number): Routine<boolean> {
    return this.promise(task, pages, Keep.All);
  }

  /** As `reserveWaiting`, for metadata that grow without data: on a full device files can be created for a while yet. */
  reserveMetadata(task: Task, blocks: number): Routine<boolean> {
    return this.promise(task, blocks, Keep.Half);
  }

  unreserve(_task: Task, pages: number): void {
    this.space.unreserve(pages);
  }

  /**
   * Picks up to `length` free blocks, right at `goal` where possible, and keeps everybody else off them until `publish` or
   * `unclaim`. The caller has promises for them. One run, often shorter than asked: loop. Throws ENOSPC.
   */
  *claim(task: Task, goal: number, length: number, run: ClaimedRun): Routine<void> {
    for (let commits = 0; ; ) {
      const wait = this.claims.waitSequence;
      const found = yield* this.groups.take(task, goal, length, Take.Claim, run);
      if (found === Found.Taken) return;
      const canCommit = task.handleDepth === 0 && this.space.quarantined > 0;
      if (canCommit && (found === Found.NoRecord || commits < COMMITS_MAX)) {
        commits += 1;
        yield* this.journal.commit(task);
        yield* this.releaseQuarantine(task, true);
      } else if (found === Found.NoRecord && task.handleDepth === 0) {
        if ((yield task.wait(Header.ExclusionWait, wait, RECORD_WAIT_MS)) === TIMED_OUT) {
          throw new StoreError('ENOMEM', { detail: 'too many blocks are claimed and not yet written' });
        }
      } else {
        throw new StoreError('ENOSPC');
      }
    }
  }

  /** Gives back claimed blocks, all of a claim or part, that were not published. Their promises stay. */
  unclaim(task: Task, start: number, length: number): void {
    this.claims.unclaim(task, this.groupOfRange(start, length), start, length);
  }

  /** Inside a handle: claimed blocks, all of a claim or part, are in use now, and `reservedPages` promises are kept. */
  *publish(task: Task, start: number, length: number, reservedPages: number): Routine<void> {
    const group = this.groupOfRange(start, length);
    yield* this.changeBitmap(task, group, (bitmap) => {
      const first = start - groupStart(this.geometry, group);
      assert(nextUsed(bitmap, 0, first, first + length) === first + length, `blocks ${start}+${length} are in use`);
      this.claims.publish(task, group, start, length, reservedPages);
      markUsed(bitmap, 0, first, length);
      this.groups.addFree(group, -length);
    });
    count(task, Count.BlocksAllocated, length);
  }

  /** Inside a handle: one block near `goal`, in use at once. Throws ENOSPC. */
  *allocateMetadata(task: Task, goal: number): Routine<number> {
    assert(task.handleDepth > 0, 'a metadata block is allocated outside a transaction');
    const { block } = this;
    const found = yield* this.groups.take(task, goal, 1, Take.Metadata, block);
    if (found !== Found.Taken) throw new StoreError('ENOSPC');
    count(task, Count.BlocksAllocated);
    return block.start;
  }

  /**
   * Inside a handle: frees blocks of one group; they are not reusable before the transaction is durable. Throws EUCLEAN,
   * with nothing changed, where the bitmap says that they are free already: what named them, or the bitmap, is damaged.
   */
  *free(task: Task, start: number, length: number): Routine<void> {
    const group = this.usedGroup(start, length);
    const first = start - groupStart(this.geometry, group);
    yield* this.changeBitmap(task, group, (bitmap) => {
      this.checkUsed(bitmap, start, length);
      markFree(bitmap, 0, first, length);
      this.groups.addFree(group, length);
      this.quarantine.add(task, group, start, length, this.journal.running);
    });
    count(task, Count.BlocksFreed, length);
    if (this.records.quarantined > this.quarantinedMax) this.journal.want(task);
  }

  /** Throws what `free` would throw for these blocks. */
  *probe(task: Task, start: number, length: number): Routine<void> {
    const frame = yield* this.groups.bitmap(task, this.usedGroup(start, length));
    try {
      this.checkUsed(this.groups.bitmapWords(frame), start, length);
    } finally {
      this.metadata.put(frame);
    }
  }

  /** The group of blocks that are in use. */
  private usedGroup(start: number, length: number): number {
    const group = groupOf(this.geometry, start);
    const end = groupStart(this.geometry, group) + groupLength(this.geometry, group);
    if (group >= this.groups.initialised || start + length > end) {
      throw corrupt('extent', start, `${length} blocks that lie in no group`);
    }
    return group;
  }

  private checkUsed(bitmap: Uint32Array, start: number, length: number): void {
    const group = groupOf(this.geometry, start);
    const first = start - groupStart(this.geometry, group);
    const free = nextFree(bitmap, 0, first, first + length);
    if (free === first + length) return;
    const detail = `block ${start + free - first} is free in it, and part of a file or a tree`;
    throw corrupt('allocation bitmap', bitmapBlock(this.geometry, group), detail);
  }

  /**
   * Discards, and makes free again, what durable transactions freed. Not while a checkpoint writes blocks in place: it may
   * be about to write one that is freed here. Without `waiting`, who is at it goes over it once more in our stead.
   */
  *releaseQuarantine(task: Task, waiting: boolean): Routine<void> {
    const { words } = task;
    const lock = checkpointLock(this.arena);
    if (this.space.quarantined === 0) return;
    if (waiting) yield* lockMutex(task, lock);
    else if (!this.tryRelease(task, lock)) return;
    for (;;) {
      // Taken before the durable transactions are looked at: what becomes durable later sets it again.
      Atomics.store(words, Header.QuarantineMissed, 0);
      try {
        yield* this.releaseDurable(task);
      } finally {
        unlockMutex(task, lock);
      }
      if (Atomics.load(words, Header.QuarantineMissed) === 0 || !tryLockMutex(task, lock)) return;
    }
  }

  /** Takes the mutex, or leaves word for its holder, who looks for it when he has given the mutex back. */
  private tryRelease(task: Task, lock: number): boolean {
    if (tryLockMutex(task, lock)) return true;
    Atomics.store(task.words, Header.QuarantineMissed, 1);
    return tryLockMutex(task, lock);
  }

  private *releaseDurable(task: Task): Routine<void> {
    const { durable } = this.journal;
    const least = Atomics.load(task.words, Header.DiscardLater);
    let released = 0;
    for (const group of this.quarantine.takeGroups(task)) {
      released += yield* this.releaseGroup(task, group, durable, least);
    }
    if (released > 0) count(task, Count.QuarantineFlushes);
  }

  /** Runs of fewer than `least` blocks are left to be trimmed. */
  private *releaseGroup(task: Task, group: number, durable: number, least: number): Routine<number> {
    if (this.journal.device.canDiscard) {
      for (const range of yield* this.quarantine.durableRanges(task, group, durable)) {
        if (range.length >= least || !this.trim.note(task, range)) yield* this.discard(task, range);
      }
    }
    return yield* this.quarantine.release(task, group, durable);
  }

  /** Begins a round of trimming; a round is one thread's. */
  beginTrim(): void {
    this.trim.begin();
  }

  /** Discards what is still free of one short run. False: the round is over. The caller has no handle. */
  *trimSome(task: Task): Routine<boolean> {
    const group = this.trim.next(task);
    if (group < 0) return false;
    const lock = checkpointLock(this.arena);
    yield* lockMutex(task, lock);
    try {
      const { durable } = this.journal;
      yield* this.trim.exclude(task, group, durable);
      yield* this.releaseGroup(task, group, durable, 0);
    } finally {
      unlockMutex(task, lock);
    }
    // For those who had something to release meanwhile.
    yield* this.releaseQuarantine(task, false);
    return true;
  }

  /** A device that will not discard keeps the old content, which nobody can read: no reason to fail anything. */
  private *discard(task: Task, { start, length }: BlockRange): Routine<void> {
    const { blockBytes } = this.geometry;
    try {
      yield task.discard(this.journal.device, start * blockBytes, length * blockBytes);
    } catch (error) {
      if (!(error instanceof StoreError) || error.code === 'EOWNERDEAD') throw error;
    }
  }

  private *promise(task: Task, pages: number, keep: Keep): Routine<boolean> {
    for (let commits = 0; ; commits++) {
      if (this.space.reserve(task, pages, keep)) return true;
      if (commits === COMMITS_MAX || !this.space.wouldSuffice(task, pages, keep)) return false;
      yield* this.journal.commit(task);
      yield* this.releaseQuarantine(task, true);
    }
  }

  private *changeBitmap(task: Task, group: number, change: (bitmap: Uint32Array) => void): Routine<void> {
    assert(task.handleDepth > 0, 'an allocation bitmap is changed outside a transaction');
    const frame = yield* this.groups.bitmap(task, group);
    const lock = this.records.groupLock(group);
    try {
      if (task.yieldsAtLocks || !tryLockMutex(task, lock)) yield* lockMutex(task, lock);
      try {
        change(this.groups.bitmapWords(frame));
        this.journal.dirty(task, frame);
      } finally {
        unlockMutex(task, lock);
      }
    } finally {
      this.metadata.put(frame);
    }
  }

  private groupOfRange(start: number, length: number): number {
    const group = groupOf(this.geometry, start);
    const end = groupStart(this.geometry, group) + groupLength(this.geometry, group);
    assert(length > 0 && start + length <= end, `blocks ${start}+${length} are no run of one group`);
    return group;
  }
}
