/**
 * Writing what the hot path could not: the slow path of `HotPath.writeHit`.
 *
 * Any thread may call, holding nothing. Takes: what the scheme says for `write` around the whole write; one page lock at a
 * time, and below it the extent map.
 *
 *  1. Every page that becomes dirty has a block, or the promise of one (delayed allocation), so that ENOSPC comes here and
 *     not at writeback.
 *  2. Bytes, size and page lock: a page's bytes are in place before the size covers them, and both change under its lock.
 *  3. Behind the end of the file there are zeros. A write that starts behind the end makes the old tail zero first.
 *  4. What the extent map says is used for further pages only while its sequence stands still, read with the page locked.
 *  5. A page is filled from the device unless the write covers all of it that lies inside the file. i_rwsem keeps
 *     invalidation away from that fill.
 *  6. Writers are made to wait for writeback before they take any lock; a write that fills the cache with dirty pages
 *     writes some back itself as it goes.
 */
import { StoreError } from '../errors.js';
import { setSize, sizeOf, slotAt, touchModified } from '../inode/inode.js';
import { Operation } from '../locking/schemes.js';
import { dirtyLimitOf } from '../pagecache/dirty-limit.js';
import { BlockRun, RunKind } from '../pagecache/mapping-operations.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { Header, Inode, NO_BLOCK, UNWRITTEN_BLOCK } from '../sync/layout.js';
import { Count, count } from '../sync/statistics.js';
import { type Frame, MAX_FILE_PAGES, pageAtOrAfter, pageOf, type Slot } from '../units.js';
import { zeroTail } from './edge.js';
import type { Engine } from './engine.js';
import { lookupRun } from './extent-change.js';
import { isBacked } from './pin.js';

/** As a position: at the end of the file, wherever that is when the write gets its lock. */
export const APPEND = -1;

/** Pages that a writer above the limit writes back at a time. */
const RELIEF_PAGES = 256;
/** Pages asked of the extent map at once. */
const LOOKUP_PAGES = 4096;

/** Writes; returns the bytes written, fewer than `length` when space ran out after some. Throws ENOSPC, EFBIG, EIO. */
export function* write(
  task: Task,
  engine: Engine,
  slot: Slot,
  source: Uint8Array,
  offset: number,
  length: number,
  positionBytes: number,
): Routine<number> {
  if (length === 0) return 0;
  const { guard, blockBytes } = engine;
  yield* engine.cache.balanceDirty(task);
  const isAppend = positionBytes === APPEND;
  const first = isAppend ? 0 : pageOf(positionBytes, blockBytes);
  const end = isAppend ? MAX_FILE_PAGES : pageAtOrAfter(positionBytes + length, blockBytes);
  const taken = yield* guard.enter(task, slot, Operation.Write, first, end);
  let written = 0;
  try {
    yield task.point('write:locked');
    const size = sizeOf(engine.arena, slot);
    const position = isAppend ? size : positionBytes;
    if (position >= engine.maxFileBytes) throw new StoreError('EFBIG', { syscall: 'write' });
    if (position > size) yield* zeroTail(task, engine, slot);
    const bytes = source.subarray(offset, offset + Math.min(length, engine.maxFileBytes - position));
    const writer = new Writer(task, engine, slot);
    try {
      while (written < bytes.length) {
        written += yield* writer.writePage(bytes, written, position + written);
        // No page lock is held here. Nobody is waited for, since i_rwsem is.
        if (isAboveLimit(engine)) yield* engine.cache.writeSome(task, RELIEF_PAGES);
      }
    } catch (error) {
      if (written === 0 || !(error instanceof StoreError)) throw error;
    } finally {
      writer.finish();
    }
    touchModified(task, slot);
  } finally {
    guard.leave(task, slot, taken);
  }
  return written;
}

function isAboveLimit({ arena, cache }: Engine): boolean {
  return Atomics.load(arena.words, Header.PagesDirty) > dirtyLimitOf(cache);
}

/** One write: what it knows of the extent map, and a promise of a block that it has not used yet. */
class Writer {
  private readonly run = new BlockRun();
  /** First page of `run`; it has no length before the first lookup. */
  private runPage = 0;
  private runSequence = 0;
  private promised = 0;

  constructor(
    private readonly task: Task,
    private readonly engine: Engine,
    private readonly slot: Slot,
  ) {}

  /** Writes the part of `bytes` from `from` on that falls into the page of `at`; returns its length. */
  *writePage(bytes: Uint8Array, from: number, at: number): Routine<number> {
    const { task, engine, slot } = this;
    const { cache, blockBytes, arena } = engine;
    const index = pageOf(at, blockBytes);
    const start = at - index * blockBytes;
    const n = Math.min(bytes.length - from, blockBytes - start);
    const size = sizeOf(arena, slot);
    const coversPage = start === 0 && (n === blockBytes || at + n >= size);
    count(task, Count.WriteMisses);
    for (;;) {
      if (engine.faultIn !== null) yield* engine.faultIn();
      const frame = yield* this.lockedPage(index, coversPage);
      try {
        if (yield* this.back(frame, index)) {
          yield task.point('write:page');
          this.copy(frame, bytes, from, n, start);
          cache.markDirty(task, slot, frame);
          if (at + n > size) setSize(task, slot, at + n);
          return n;
        }
      } finally {
        cache.unlockPage(task, frame);
        cache.unpin(frame);
      }
      yield* this.waitForSpace();
    }
  }

  /** Gives back the promise that was not needed. */
  finish(): void {
    if (this.promised > 0) this.engine.allocator.unreserve(this.task, this.promised);
    this.promised = 0;
  }

  /** The page, pinned, locked, in the cache; up to date unless `coversPage`. */
  private *lockedPage(index: number, coversPage: boolean): Routine<Frame> {
    const { task, engine, slot } = this;
    const { cache } = engine;
    for (;;) {
      const frame = yield* cache.findOrCreate(task, slot, index);
      if (!cache.created && (task.yieldsAtLocks || !cache.tryLockPage(task, frame))) yield* cache.lockPage(task, frame);
      let isReady = false;
      try {
        if (!cache.isDetached(frame)) {
          if (!coversPage && !cache.isUptodate(frame)) yield* cache.fillLocked(task, slot, frame, index);
          isReady = true;
        }
      } finally {
        if (!isReady) {
          cache.unlockPage(task, frame);
          cache.unpin(frame);
        }
      }
      if (isReady) return frame;
    }
  }

  /** Sees to it that the locked page has a block or the promise of one; false when there is no space left. */
  private *back(frame: Frame, index: number): Routine<boolean> {
    const { task, engine } = this;
    if (!engine.cache.isUptodate(frame)) yield* this.setBlock(frame, index);
    if (isBacked(engine.cache, frame)) return true;
    if (this.promised > 0) this.promised--;
    else if (!engine.allocator.reserve(task, 1)) return false;
    engine.cache.setReserved(frame);
    return true;
  }

  /** Tells a page that is not going to be filled where its block is. */
  private *setBlock(frame: Frame, index: number): Routine<void> {
    const { task, engine, slot, run } = this;
    const sequenceAt = slotAt(engine.arena, slot) + Inode.MapSequence;
    const sequence = Atomics.load(task.words, sequenceAt);
    if (sequence !== this.runSequence || index < this.runPage || index >= this.runPage + run.length) {
      run.length = 0;
      yield* lookupRun(task, engine, slot, index, LOOKUP_PAGES, run);
      this.runPage = index;
      this.runSequence = sequence;
    }
    const offset = index - this.runPage;
    if (run.kind === RunKind.Written) engine.cache.setBlock(frame, run.block + offset);
    else engine.cache.setBlock(frame, run.kind === RunKind.Hole ? NO_BLOCK : UNWRITTEN_BLOCK);
  }

  private copy(frame: Frame, bytes: Uint8Array, from: number, n: number, start: number): void {
    const { engine } = this;
    const { cache, blockBytes, zeros } = engine;
    const target = engine.frames.bytes(frame);
    target.set(from === 0 && n === bytes.length ? bytes : bytes.subarray(from, from + n), start);
    if (cache.isUptodate(frame)) return;
    if (n < blockBytes) target.set(zeros.subarray(n), n);
    cache.markUptodate(frame);
  }

  /** No lock but i_rwsem is held: blocks that were freed may become free by a commit. */
  private *waitForSpace(): Routine<void> {
    if (!(yield* this.engine.allocator.reserveWaiting(this.task, 1))) {
      throw new StoreError('ENOSPC', { syscall: 'write' });
    }
    this.promised++;
  }
}
