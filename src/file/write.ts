/**
 * Writing what the hot path could not: the slow path of `HotPath.writeHit`.
 *
 * Any thread may call, holding nothing. Takes: what the scheme says for `write` around the whole write; one page lock at a
 * time, or those of a batch of whole pages in ascending order, by try-lock; and below them the extent map.
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
import { Operation } from '../locking/scheme.js';
import { dirtyLimitOf } from '../pagecache/dirty-limit.js';
import { BlockRun, RunKind } from '../pagecache/mapping-operations.js';
import { PageBatch } from '../pagecache/page-batch.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { Header, Inode, MOVING_BLOCK, NO_BLOCK, UNWRITTEN_BLOCK } from '../sync/layout.js';
import { Count, count } from '../sync/statistics.js';
import { type Frame, pageOf, type Slot } from '../units.js';
import { zeroTail } from './edge.js';
import type { Engine } from './engine.js';
import { enterGrowing, enterResizing } from './enter.js';
import { lookupRun } from './extent-change.js';
import { isBacked } from './pin.js';

/** As a position: at the end of the file, wherever that is when the write gets its lock. */
export const APPEND = -1;

/** Pages that a writer above the limit writes back at a time. */
const RELIEF_PAGES = 256;
/** Whole pages that are written together. */
const BATCH_PAGES_MIN = 2;
const BATCH_PAGES_MAX = 64;
/** A batch locks at most one in so many frames. */
const BATCH_SHARE = 32;
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
  const { guard } = engine;
  engine.journal.throwIfFailed();
  yield* engine.cache.balanceDirty(task);
  const isAppend = positionBytes === APPEND;
  const taken = isAppend
    ? yield* enterResizing(task, engine, slot, Operation.Write, Number.POSITIVE_INFINITY, length)
    : yield* enterGrowing(task, engine, slot, Operation.Write, positionBytes, positionBytes + length);
  let written = 0;
  try {
    if (task.stopsAtPoints) yield task.point('write:locked');
    const size = sizeOf(engine.arena, slot);
    const position = isAppend ? size : positionBytes;
    if (position >= engine.maxFileBytes) throw new StoreError('EFBIG', { syscall: 'write' });
    if (position > size) yield* zeroTail(task, engine, slot);
    const bytes = source.subarray(offset, offset + Math.min(length, engine.maxFileBytes - position));
    const writer = new Writer(task, engine, slot);
    try {
      while (written < bytes.length) {
        const whole = yield* writer.writeWholePages(bytes, written, position + written);
        written += whole > 0 ? whole : yield* writer.writePage(bytes, written, position + written);
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
  /** Pages that are written together; a batch locks at most a small part of the cache. */
  private readonly batchMax: number;
  private batch: PageBatch | null = null;

  constructor(
    private readonly task: Task,
    private readonly engine: Engine,
    private readonly slot: Slot,
  ) {
    this.batchMax = Math.min(BATCH_PAGES_MAX, Math.floor(engine.frames.frames / BATCH_SHARE));
  }

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
          if (task.stopsAtPoints) yield task.point('write:page');
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

  /**
   * Writes the whole pages at the start of what is left, as many as are to be had without waiting; returns the bytes, or 0
   * when the first page wants `writePage`.
   */
  *writeWholePages(bytes: Uint8Array, from: number, at: number): Routine<number> {
    const { task, engine, slot } = this;
    const { cache, blockBytes, arena } = engine;
    const index = pageOf(at, blockBytes);
    const pages = Math.min(Math.floor((bytes.length - from) / blockBytes), this.batchMax);
    if (pages < BATCH_PAGES_MIN || at !== index * blockBytes) return 0;
    yield* this.lookUp(index);
    const batch = this.batch ?? new PageBatch(this.batchMax);
    this.batch = batch;
    let isDone = false;
    try {
      yield* batch.lock(cache, task, slot, index, Math.min(pages, this.runPage + this.run.length - index));
      if (batch.total === 0 || !this.isRunCurrent(index) || !this.backBatch(batch)) return 0;
      if (task.stopsAtPoints) yield task.point('write:page');
      this.copyBatch(batch, bytes, from);
      batch.commit(cache, task, slot);
      isDone = true;
      const n = batch.total * blockBytes;
      if (at + n > sizeOf(arena, slot)) setSize(task, slot, at + n);
      count(task, Count.WriteMisses, batch.total);
      return n;
    } finally {
      if (isDone) batch.unlock(cache, task);
      else this.abandon(batch);
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

  /**
   * Promises blocks to the batch's pages that have none, and tells the new ones where theirs are; false, with nothing
   * promised, when there is not enough space.
   */
  private backBatch(batch: PageBatch): boolean {
    const { task, engine } = this;
    let missing = 0;
    for (let i = 0; i < batch.total; i++) {
      const frame = batch.frames[i] as Frame;
      if (batch.created[i] === 1) this.placeBlock(frame, batch.first + i);
      if (!isBacked(engine.cache, frame)) missing++;
    }
    if (missing === 0) return true;
    if (!engine.allocator.reserve(task, missing)) return false;
    // Writeback may give a cached page its block meanwhile: it settles what is promised too much.
    for (let i = 0; i < batch.total; i++) {
      const frame = batch.frames[i] as Frame;
      if (missing === 0 || isBacked(engine.cache, frame)) continue;
      engine.cache.setReserved(frame);
      missing--;
    }
    if (missing > 0) engine.allocator.unreserve(task, missing);
    return true;
  }

  private copyBatch(batch: PageBatch, bytes: Uint8Array, from: number): void {
    const { engine } = this;
    const { frames, blockBytes } = engine;
    let done = from;
    for (let i = 0; i < batch.total; ) {
      const first = batch.frames[i] as Frame;
      const segment = frames.segment(first);
      let end = i + 1;
      while (
        end < batch.total &&
        batch.frames[end] === first + end - i &&
        frames.offset(batch.frames[end] as Frame) > 0
      ) {
        end++;
      }
      const n = (end - i) * blockBytes;
      segment.set(bytes.subarray(done, done + n), frames.offset(first));
      done += n;
      i = end;
    }
  }

  private abandon(batch: PageBatch): void {
    const reserved = batch.abandon(this.engine.cache, this.task, this.slot);
    if (reserved > 0) this.engine.allocator.unreserve(this.task, reserved);
  }

  /** Tells a page that is not going to be filled where its block is. */
  private *setBlock(frame: Frame, index: number): Routine<void> {
    if (!this.isRunCurrent(index)) yield* this.lookUp(index);
    this.placeBlock(frame, index);
  }

  /** The page of `run` that says where `index` is. */
  private placeBlock(frame: Frame, index: number): void {
    const { run } = this;
    const { cache } = this.engine;
    const block = cache.operationsOf(this.slot).movesOnWrite ? MOVING_BLOCK : run.block + index - this.runPage;
    if (run.kind === RunKind.Written) cache.setBlock(frame, block);
    else cache.setBlock(frame, run.kind === RunKind.Hole ? NO_BLOCK : UNWRITTEN_BLOCK);
  }

  /** Whether `run` covers the page and still holds: asked with the page locked (invariant 4). */
  private isRunCurrent(index: number): boolean {
    return index >= this.runPage && index < this.runPage + this.run.length && this.mapSequence() === this.runSequence;
  }

  private *lookUp(index: number): Routine<void> {
    if (this.isRunCurrent(index)) return;
    const { run } = this;
    const sequence = this.mapSequence();
    run.length = 0;
    yield* lookupRun(this.task, this.engine, this.slot, index, LOOKUP_PAGES, run);
    this.runPage = index;
    this.runSequence = sequence;
  }

  private mapSequence(): number {
    return Atomics.load(this.task.words, slotAt(this.engine.arena, this.slot) + Inode.MapSequence);
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
