/**
 * How the page cache finds, chooses and publishes the device blocks of files.
 *
 * Any thread may call. Locks: `map` and `mapWrite` take the extent-map lock shared, `completeWrite` a journal handle and
 * then the extent-map lock exclusive.
 *
 *  1. Data before metadata: an extent is written (or no hole any more) only after its blocks were written.
 *  2. Between `mapWrite` and `completeWrite` the pages are under writeback, and dropping them waits for that: nobody else
 *     maps, unmaps or converts their part of the file. Asserted by the extent map.
 *     But a preallocation, which drops no pages, may map a hole meanwhile.
 *  3. The disk size never passes the size, and grows here to the end of what was written.
 */
import { type Allocator, FREE_CREDITS, PUBLISH_CREDITS } from '../allocator/allocator.js';
import { CHECKSUM_CREDITS, type DataChecksums } from '../allocator/data-checksums.js';
import { ClaimedRun } from '../allocator/group-search.js';
import { assert } from '../assert.js';
import { StoreError } from '../errors.js';
import { dataChecksum } from '../format/data-checksum.js';
import type { Journal } from '../journal/journal.js';
import { BlockRun, type MappingOperations, RunKind } from '../pagecache/mapping-operations.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { Header, Inode } from '../sync/layout.js';
import {
  acquireExclusive,
  acquireShared,
  releaseExclusive,
  releaseShared,
  tryAcquireExclusive,
  tryAcquireShared,
} from '../sync/rwsem.js';
import type { PageIndex, Slot } from '../units.js';
import { CREDITS_CONVERT, CREDITS_INSERT, CREDITS_REMOVE_ONE, type ExtentMap } from './extent-map.js';
import { diskSizeOf, mapLockAt, setDiskSize, sizeOf, slotAt } from './inode.js';
import { CREDITS_UPDATE, type InodeTable } from './inode-table.js';

/** Blocks that one transaction of `completeWrite` may dirty; what it takes out or puts back is a single extent. */
const CREDITS_COMPLETE =
  PUBLISH_CREDITS + Math.max(CREDITS_INSERT + CREDITS_REMOVE_ONE, CREDITS_CONVERT) + CREDITS_UPDATE;
/** The same where data have checksums, and the blocks of an earlier content are freed. */
const CREDITS_COMPLETE_MOVED = CREDITS_COMPLETE + CHECKSUM_CREDITS + FREE_CREDITS;

export class FileMapping implements MappingOperations {
  /** Only stores with data checksums know what a block should hold. */
  readonly verifies: boolean;
  readonly movesOnWrite: boolean;
  private readonly checksums: DataChecksums | null;

  constructor(
    readonly arena: Arena,
    readonly journal: Journal,
    readonly allocator: Allocator,
    readonly extents: ExtentMap,
    readonly inodes: InodeTable,
    readonly blockBytes: number,
  ) {
    this.checksums = allocator.checksums;
    this.verifies = this.checksums !== null;
    this.movesOnWrite = this.checksums !== null;
  }

  /** The run of at most `max` pages at `index`. */
  *map(task: Task, slot: Slot, index: number, max: number, run: BlockRun): Routine<void> {
    const lock = mapLockAt(this.arena, slot);
    if (task.yieldsAtLocks || !tryAcquireShared(task, lock)) yield* acquireShared(task, lock);
    try {
      if (!this.extents.tryLookup(task, slot, index, run, max)) {
        yield* this.extents.lookup(task, slot, index, run, max);
      }
    } finally {
      releaseShared(task, lock);
    }
  }

  /** As `map`; for a hole claims blocks, after those of the extent before it where possible. */
  *mapWrite(task: Task, slot: Slot, index: number, max: number, run: BlockRun): Routine<void> {
    const lock = mapLockAt(this.arena, slot);
    let near = 0;
    if (task.yieldsAtLocks || !tryAcquireShared(task, lock)) yield* acquireShared(task, lock);
    try {
      near = yield* this.extents.lookupNear(task, slot, index, run, max);
    } finally {
      releaseShared(task, lock);
    }
    if (run.kind === RunKind.Unwritten || (run.kind === RunKind.Written && !this.movesOnWrite)) return;
    run.kind = RunKind.Hole;
    const claimed = new ClaimedRun();
    const goal = near !== 0 ? near : this.arena.unsigned[slotAt(this.arena, slot) + Inode.Goal];
    yield* this.allocator.claim(task, goal, run.length, claimed);
    run.block = claimed.start;
    run.length = claimed.length;
  }

  /** Gives the claimed blocks back when it throws, as with `failed`. */
  *completeWrite(task: Task, slot: Slot, index: number, run: BlockRun, failed: boolean): Routine<void> {
    let done = failed ? run.length : 0;
    try {
      while (done < run.length) done += yield* this.publishWaiting(task, slot, index, run, done);
    } finally {
      const from = failed ? 0 : done;
      if (run.kind === RunKind.Hole && from < run.length) {
        this.allocator.unclaim(task, run.block + from, run.length - from);
      }
    }
  }

  /** `publish`, once more after a commit where that may free the block that was missing for the extent tree. */
  private *publishWaiting(task: Task, slot: Slot, index: number, run: BlockRun, done: number): Routine<number> {
    try {
      return yield* this.publish(task, slot, index, run, done);
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'ENOSPC') throw error;
      if (Atomics.load(this.arena.words, Header.BlocksQuarantined) === 0) throw error;
    }
    yield* this.journal.commit(task);
    return yield* this.publish(task, slot, index, run, done);
  }

  /** Publishes pages of the run from its page `done` on, in one transaction; returns how many, usually all. */
  private *publish(task: Task, slot: Slot, index: number, run: BlockRun, done: number): Routine<number> {
    const lock = mapLockAt(this.arena, slot);
    const credits = this.movesOnWrite ? CREDITS_COMPLETE_MOVED : CREDITS_COMPLETE;
    if (task.yieldsAtLocks || !this.journal.tryBegin(task, credits)) yield* this.journal.begin(task, credits);
    try {
      let count = run.length;
      if (task.yieldsAtLocks || !tryAcquireExclusive(task, lock)) yield* acquireExclusive(task, lock);
      try {
        this.journal.orderData(task);
        if (run.kind === RunKind.Hole) count = yield* this.publishBlocks(task, slot, index, run, done);
        else yield* this.publishContent(task, slot, index, run);
        const end = (index + done + count) * this.blockBytes;
        const reached = Math.min(end, sizeOf(this.arena, slot));
        if (reached > diskSizeOf(this.arena, slot)) setDiskSize(task, slot, reached);
      } finally {
        releaseExclusive(task, lock);
      }
      yield* this.inodes.update(task, slot);
      return count;
    } finally {
      this.journal.end(task);
    }
  }

  /** The run lies in blocks that the file had before. */
  private *publishContent(task: Task, slot: Slot, index: number, run: BlockRun): Routine<void> {
    if (this.checksums !== null) yield* this.checksums.set(task, run.block, run.sums!, 0, run.length);
    if (run.kind === RunKind.Unwritten) yield* this.extents.convert(task, slot, index, run.length);
    if (run.reserved > 0) this.allocator.unreserve(task, run.reserved);
  }

  /**
   * The run lies in claimed blocks. A preallocation may have filled parts of the hole since they were claimed: its blocks,
   * unwritten, give way to ours. Each such part takes a transaction of its own.
   */
  private *publishBlocks(task: Task, slot: Slot, index: number, run: BlockRun, done: number): Routine<number> {
    const { extents, allocator } = this;
    const page = index + done;
    const block = run.block + done;
    const found = new BlockRun();
    yield* extents.lookup(task, slot, page, found, run.length - done);
    const isRewritten = found.kind === RunKind.Written;
    assert(!isRewritten || this.movesOnWrite, `slot ${slot}: page ${page} was written while it was under writeback`);
    if (this.checksums !== null) yield* this.checksums.set(task, block, run.sums!, done, found.length);
    if (found.kind === RunKind.Unwritten) yield* extents.remove(task, slot, page, page + found.length);
    let old = 0;
    if (isRewritten) old = yield* extents.replace(task, slot, page, found.length, block);
    else yield* extents.insert(task, slot, page, block, found.length, false);
    // The reservations go at once when all of the run does, so that nobody is refused for them; else with the last part.
    const isWhole = found.length === run.length;
    try {
      yield* allocator.publish(task, block, found.length, isWhole ? run.reserved : 0);
    } catch (error) {
      if (isRewritten) yield* extents.replace(task, slot, page, found.length, old);
      else yield* extents.unmap(task, slot, page, page + found.length);
      throw error;
    }
    if (isRewritten) yield* this.freeOrLose(task, old, found.length);
    if (!isWhole && done + found.length === run.length) allocator.unreserve(task, run.reserved);
    return found.length;
  }

  /** The new content counts already: blocks whose bitmap cannot be read are lost until a repair. */
  private *freeOrLose(task: Task, block: number, length: number): Routine<void> {
    try {
      yield* this.allocator.free(task, block, length);
    } catch (error) {
      if (!(error instanceof StoreError) || (error.code !== 'EUCLEAN' && error.code !== 'EIO')) throw error;
    }
  }

  unreserve(task: Task, _slot: Slot, pages: number): void {
    this.allocator.unreserve(task, pages);
  }

  *verify(task: Task, slot: Slot, index: PageIndex, block: number, bytes: Uint8Array): Routine<void> {
    if (this.checksums === null) return;
    const expected = yield* this.checksums.get(task, block);
    if (this.checksum(slot, bytes) === expected) return;
    const ino = this.arena.unsigned[slotAt(this.arena, slot) + Inode.Ino];
    const detail = `the content at position ${index * this.blockBytes} of inode ${ino}, block ${block}, does not match its checksum`;
    throw new StoreError('EIO', { detail });
  }

  checksum(slot: Slot, bytes: Uint8Array): number {
    const at = slotAt(this.arena, slot);
    return dataChecksum(bytes, this.arena.unsigned[at + Inode.Ino], this.arena.unsigned[at + Inode.Generation]);
  }
}
