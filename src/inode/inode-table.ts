/**
 * The inodes: in core while somebody uses them or as long as there is room, and their records on the device.
 *
 * Any thread may call. What `find` and `create` return is referenced; `put` or `release` gives the reference back. An
 * inode without references stays in core until its slot is needed for another one: then its dirty pages are written, its
 * pages dropped, its record brought up to date.
 *
 *  1. An inode without names (`markDeleted`) is on the orphan list until its last reference goes; `release` then frees
 *     its blocks, in transactions that a crash may interrupt, and its record.
 *  2. The record says what the device holds: `update` writes the disk size, not the size.
 *  3. Who calls `find` keeps the inode from being freed meanwhile: by the names lock, under which it read the number.
 *
 * Locks taken inside: the InodeHash leaf mutex; the extent-map locks; the InodeTable mutex. `find`, `claimSlot` and
 * `release` may write back and open handles: nothing from the page locks up may be held.
 */
import type { Allocator } from '../allocator/allocator.js';
import { StoreError } from '../errors.js';
import { SuperblockAt } from '../format/superblock.js';
import type { Journal } from '../journal/journal.js';
import type { Metadata } from '../journal/metadata.js';
import type { Frames } from '../pagecache/frames.js';
import type { PageCache } from '../pagecache/page-cache.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { Header, Inode, Thread, ThreadState } from '../sync/layout.js';
import { acquireExclusive, releaseExclusive } from '../sync/rwsem.js';
import { MAX_FILE_PAGES, type Slot } from '../units.js';
import { CREDITS_REMOVE_STEP, type ExtentMap } from './extent-map.js';
import { CREDITS_UPDATE } from './extent-transaction.js';
import { ExtentWork } from './extent-work.js';
import {
  diskSizeOf,
  FIRST_FILE_SLOT,
  isDeleted,
  isInodeDirty,
  mapLockAt,
  setDiskSize,
  sizeOf,
  slotAt,
} from './inode.js';
import { CREDITS_TAKE_RECORD, InodeRecords } from './inode-records.js';
import { InodeSlots } from './inode-slots.js';
import { CREDITS_FREE_RECORD, OrphanList } from './orphan-list.js';

/** How long to wait for a reader ahead before looking whether its thread still lives. */
const READAHEAD_WAIT_MS = 100;
/** Blocks that creating an inode may dirty. */
export const CREDITS_CREATE = CREDITS_TAKE_RECORD;
export { CREDITS_UPDATE } from './extent-transaction.js';
export { CREDITS_ORPHAN } from './orphan-list.js';

const NONE = 0 as Slot;
/** Evictions that may fail, because of errors or because somebody came, before a finder gives up. */
const EVICTIONS_MAX = 64;

export class InodeTable {
  private readonly slots: InodeSlots;
  /** Changes of extents that may take several transactions. */
  readonly work: ExtentWork;
  private readonly records: InodeRecords;
  private readonly orphans: OrphanList;

  constructor(
    readonly arena: Arena,
    readonly frames: Frames,
    readonly cache: PageCache,
    readonly journal: Journal,
    readonly metadata: Metadata,
    readonly allocator: Allocator,
    readonly extents: ExtentMap,
  ) {
    this.slots = new InodeSlots(arena);
    this.records = new InodeRecords(arena, frames, journal, metadata, allocator, extents, this.slots);
    this.orphans = new OrphanList(arena, frames, journal, this.records, this.slots);
    const parts = { arena, journal, inodes: this };
    const isSummed = allocator.checksums !== null;
    this.work = new ExtentWork(parts, extents, this.orphans, frames.blockBytes, isSummed);
  }

  /** Sets slot 1 up from the superblock's page. The opening thread calls it once, after the journal has started. */
  *load(task: Task): Routine<void> {
    this.records.loadTable(task, SuperblockAt.InodeTableRecord);
  }

  /** A referenced in-core inode, or 0 when it must be read first, or waited for: then `find`. */
  tryFind(task: Task, ino: number): Slot {
    const slot = this.slots.find(task, ino);
    if (slot === NONE || !this.slots.isBusy(slot)) return slot;
    // Its busy owner gives up the inode, or not, without our reference as well as with it.
    this.slots.drop(slot);
    return NONE;
  }

  /** A referenced in-core inode. Never inside a handle. EUCLEAN for a record not in use; ENOMEM when all slots are. */
  *find(task: Task, ino: number): Routine<Slot> {
    let claimed = NONE;
    try {
      for (;;) {
        let slot = this.slots.find(task, ino);
        if (slot === NONE) {
          if (claimed === NONE) claimed = yield* this.claimSlot(task);
          slot = this.slots.enter(task, claimed, ino);
          if (slot === claimed) {
            claimed = NONE;
            return yield* this.read(task, slot);
          }
        }
        if (yield* this.settle(task, slot, ino)) return slot;
      }
    } finally {
      if (claimed !== NONE) this.slots.unclaim(claimed);
    }
  }

  /** Reads the record of the inode that the caller's slot was entered for. */
  private *read(task: Task, slot: Slot): Routine<Slot> {
    try {
      yield* this.records.load(task, slot);
    } catch (error) {
      this.slots.discard(task, slot);
      throw error;
    }
    this.slots.ready(task, slot);
    return slot;
  }

  /** Waits until a referenced slot is not busy; drops the reference when it turned out to hold something else. */
  private *settle(task: Task, slot: Slot, ino: number): Routine<boolean> {
    try {
      yield* this.slots.waitReady(task, slot);
    } catch (error) {
      this.slots.drop(slot);
      throw error;
    }
    if (this.arena.unsigned[slotAt(this.arena, slot) + Inode.Ino] === ino) return true;
    this.slots.drop(slot);
    return false;
  }

  /** One more reference, by somebody who has one. */
  reference(slot: Slot): void {
    Atomics.add(this.arena.words, slotAt(this.arena, slot) + Inode.Refs, 1);
  }

  /**
   * A reference, to read a window ahead that was queued while `slot` held that inode; false where it does so no longer, or is
   * deleted. Nobody's blocks come back late for it: a reader says which slot it reads before it looks at Deleted, and who has
   * deleted a file looks for readers before it drops its own reference. Undone by `endReadahead`.
   */
  beginReadahead(task: Task, slot: Slot, ino: number, generation: number): boolean {
    const at = task.record + Thread.ReadsAhead;
    Atomics.store(task.words, at, slot + 1);
    if (this.slots.holdAs(task, slot, ino, generation)) return true;
    this.forgetReadahead(task, at);
    return false;
  }

  endReadahead(task: Task, slot: Slot): void {
    // Whoever deletes the file waits, with a reference of its own.
    this.slots.drop(slot);
    this.forgetReadahead(task, task.record + Thread.ReadsAhead);
  }

  private forgetReadahead(task: Task, at: number): void {
    Atomics.store(task.words, at, 0);
    task.driver.wake(at, Number.POSITIVE_INFINITY);
  }

  /** Nobody begins to read the deleted inode ahead any more: returns when nobody does. The caller holds no lock. */
  private *waitForReadahead(task: Task, slot: Slot): Routine<void> {
    const { words, layout } = this.arena;
    for (let thread = 0; thread < layout.threads; thread++) {
      const record = layout.threadRecords + thread * Thread.Words;
      while (
        Atomics.load(words, record + Thread.ReadsAhead) === slot + 1 &&
        Atomics.load(words, record + Thread.State) === ThreadState.Attached
      ) {
        yield task.wait(record + Thread.ReadsAhead, slot + 1, READAHEAD_WAIT_MS);
      }
    }
  }

  /** Drops a reference without sleeping. False, with nothing dropped, for a deleted inode: `release`. */
  put(_task: Task, slot: Slot): boolean {
    return !isDeleted(this.arena, slot) && this.slots.put(slot);
  }

  /** Drops a reference; the last one of a deleted inode frees it, in transactions of its own. The caller holds no lock. */
  *release(task: Task, slot: Slot): Routine<void> {
    if (isDeleted(this.arena, slot)) yield* this.waitForReadahead(task, slot);
    while (!this.slots.put(slot)) {
      if (!this.slots.makeBusy(task, slot)) continue;
      try {
        yield* this.free(task, slot);
      } catch (error) {
        // It stays on the orphan list: the next open frees it.
        this.slots.ready(task, slot);
        this.slots.drop(slot);
        throw error;
      }
      this.slots.discard(task, slot);
      return;
    }
  }

  /** Frees a deleted inode that only the caller uses. */
  private *free(task: Task, slot: Slot): Routine<void> {
    yield* this.cache.drop(task, slot, 0, MAX_FILE_PAGES);
    yield* this.removeExtents(task, slot);
    this.records.vacate(slot);
    yield* this.journal.begin(task, CREDITS_FREE_RECORD);
    try {
      yield* this.orphans.free(task, slot);
    } finally {
      this.journal.end(task);
    }
  }

  /** Frees all blocks. The inode is on the orphan list. */
  private *removeExtents(task: Task, slot: Slot): Routine<void> {
    const lock = mapLockAt(this.arena, slot);
    for (let page = 0; page < MAX_FILE_PAGES; ) {
      yield* this.journal.begin(task, CREDITS_REMOVE_STEP);
      try {
        yield* acquireExclusive(task, lock);
        try {
          page = yield* this.extents.remove(task, slot, page, MAX_FILE_PAGES);
        } finally {
          releaseExclusive(task, lock);
        }
      } finally {
        this.journal.end(task);
      }
    }
  }

  /** Before a handle is opened: a free slot for `create`, evicting another inode where needed. ENOMEM when all are in use. */
  *claimSlot(task: Task): Routine<Slot> {
    let failure: unknown;
    for (let attempt = 0; attempt < EVICTIONS_MAX; attempt++) {
      const slot = this.slots.pick(task, false);
      if (slot === NONE) break;
      if (this.arena.words[slotAt(this.arena, slot) + Inode.Ino] === 0) return slot;
      try {
        if (yield* this.evict(task, slot)) return slot;
      } catch (error) {
        this.slots.ready(task, slot);
        this.slots.drop(slot);
        failure = error;
      }
    }
    throw failure ?? new StoreError('ENOMEM', { detail: `${this.arena.layout.inodes} in-core inodes are in use` });
  }

  /** Writes back and drops what is cached of a busy slot's inode, and takes it out; false when somebody has found it since. */
  private *evict(task: Task, slot: Slot): Routine<boolean> {
    const at = slotAt(this.arena, slot);
    const { words } = this.arena;
    const size = sizeOf(this.arena, slot);
    if (words[at + Inode.PagesDirty] !== 0) {
      const error = yield* this.cache.writeRange(task, slot, 0, MAX_FILE_PAGES, { wait: true });
      if (error !== null) throw error;
    }
    // Dropping waits for writeback that others have begun.
    if (words[at + Inode.Pages] !== 0) yield* this.cache.drop(task, slot, 0, MAX_FILE_PAGES);
    yield* this.advanceDiskSize(task, slot, size);
    if (isInodeDirty(this.arena, slot)) yield* this.updateAlone(task, slot);
    if (this.slots.takeOut(task, slot)) return true;
    this.slots.ready(task, slot);
    this.slots.drop(slot);
    return false;
  }

  /** Gives back a claimed slot that `create` was not called for. */
  unclaimSlot(_task: Task, slot: Slot): void {
    this.slots.unclaim(slot);
  }

  /**
   * A new inode with one link and one reference, inside a handle (CREDITS_CREATE). `claimed` comes from `claimSlot`;
   * without it ENOMEM is thrown when no slot is free at once. ENOSPC with nothing changed, and `claimed` still the
   * caller's. To undo: `markDeleted`, then `release`.
   */
  *create(task: Task, claimed?: Slot): Routine<Slot> {
    const slot = claimed ?? this.slots.pick(task, true);
    if (slot === NONE) throw new StoreError('ENOMEM', { detail: 'no in-core inode is free' });
    try {
      yield* this.records.take(task, slot);
    } catch (error) {
      if (claimed === undefined) this.slots.unclaim(slot);
      throw error;
    }
    this.slots.ready(task, slot);
    return slot;
  }

  /** Writes times, links and the disk size to the record, inside a handle (CREDITS_UPDATE). */
  update(task: Task, slot: Slot): Routine<void> {
    return this.records.store(task, slot);
  }

  private *updateAlone(task: Task, slot: Slot): Routine<void> {
    yield* this.journal.begin(task, CREDITS_UPDATE);
    try {
      yield* this.update(task, slot);
    } finally {
      this.journal.end(task);
    }
  }

  /**
   * The last name is gone: links 0, on the orphan list, freed at the last release. Inside a handle (CREDITS_ORPHAN), by
   * somebody with a reference.
   */
  *markDeleted(task: Task, slot: Slot): Routine<void> {
    yield* this.orphans.addDeleted(task, slot);
  }

  /**
   * Everything below `bytes` is on the device (the caller wrote it back): the disk size follows, in a handle of its own.
   * `bytes` is the size before the writeback began.
   */
  *advanceDiskSize(task: Task, slot: Slot, bytes: number): Routine<void> {
    if (diskSizeOf(this.arena, slot) >= bytes) return;
    const lock = mapLockAt(this.arena, slot);
    yield* this.journal.begin(task, CREDITS_UPDATE);
    try {
      yield* acquireExclusive(task, lock);
      // A truncation meanwhile has set both sizes.
      const reached = Math.min(bytes, sizeOf(this.arena, slot));
      if (reached > diskSizeOf(this.arena, slot)) setDiskSize(task, slot, reached);
      releaseExclusive(task, lock);
      yield* this.update(task, slot);
    } finally {
      this.journal.end(task);
    }
  }

  /** Updates the records of all dirty in-core inodes, in handles of its own. */
  *updateDirty(task: Task): Routine<void> {
    for (let slot = FIRST_FILE_SLOT as Slot; slot < this.arena.layout.inodes; slot++) {
      while (isInodeDirty(this.arena, slot)) {
        if (this.slots.hold(task, slot)) {
          try {
            yield* this.updateAlone(task, slot);
          } finally {
            yield* this.release(task, slot);
          }
          break;
        }
        // On its way out, and its record is being written; a claimed or free slot is dirty no more.
        yield* this.slots.waitReady(task, slot);
      }
    }
  }

  /**
   * Finishes what a crash left on the orphan list: of a file that still has a name, `first`, then its work. The opening
   * thread, before others attach. Returns how many.
   */
  *finishOrphans(task: Task, first: (slot: Slot) => Routine<void>): Routine<number> {
    const { unsigned } = this.arena;
    let count = 0;
    for (let ino = unsigned[Header.OrphanHead]; ino !== 0; ino = unsigned[Header.OrphanHead]) {
      const slot = yield* this.find(task, ino);
      // Of a deleted one all goes, whatever else was to be done with it.
      if (!isDeleted(this.arena, slot)) {
        yield* first(slot);
        yield* this.work.finish(task, slot);
      }
      yield* this.release(task, slot);
      count++;
    }
    return count;
  }
}
