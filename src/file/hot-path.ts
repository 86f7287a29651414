/**
 * The hits: reads and writes of cached pages, without a generator, an allocation or a sleep.
 *
 * One per thread. Reads: no lock, unless the scheme asks for one (page-copier.ts says how). Writes: the scheme's write locks
 * and the page locks, all by try-lock. Whatever is not simply there is left to the slow paths.
 *
 *  1. Under a scheme that locks read hits, or validates them, a read is all or nothing, and its slow path reads all again: what
 *     is atomic must come from one look.
 *  2. A write hit takes all its pages before it copies a byte, and never makes the file grow by more than those pages
 *     hold: invariants 1 to 3 of write.ts hold without it ever having to undo anything.
 */
import { setSize, sizeForHit, sizeOf, touchModified } from '../inode/inode.js';
import { Operation } from '../locking/scheme.js';
import { dirtyLimitOf, wakeBackground } from '../pagecache/dirty-limit.js';
import type { Lookup } from '../pagecache/lookup.js';
import { PageFlag } from '../pagecache/page.js';
import type { PageLock } from '../pagecache/page-lock.js';
import type { Task } from '../routine/task.js';
import { Header, MOVING_BLOCK, NO_BLOCK, Page, StoreState } from '../sync/layout.js';
import { Count, count } from '../sync/statistics.js';
import { CHANGING } from '../sync/versions.js';
import { type Frame, MAX_FILE_PAGES, type Slot } from '../units.js';
import type { Engine } from './engine.js';

/** Pages of one write hit. */
const WRITE_PAGES_MAX = 16;
/** Write hits between two wake-ups of background writeback. A power of two. */
const HITS_PER_WAKE = 64;
/** How often a read looks again that finds its pages being written, and what a copy in vain counts for, before it takes the lock. */
const PATIENCE = 128;
const PATIENCE_FOR_COPY = 31;

export class HotPath {
  private readonly words: Int32Array;
  private readonly records: number;
  private readonly lookup: Lookup;
  private readonly locks: PageLock;
  private readonly blockBytes: number;
  private readonly pagesPerByte: number;
  private readonly readMask: number;
  /** Whether a hit is all that there is to be read: a short one ends at the end of the file. */
  readonly readsWhole: boolean;
  private readonly writeMask: number;
  private readonly locksRanges: boolean;
  private readonly validatesReads: boolean;
  private readonly locked = new Int32Array(WRITE_PAGES_MAX);
  private readonly dirtyLimit: number;
  private hitsSinceWake = 0;

  constructor(
    readonly engine: Engine,
    private readonly pages = engine.pages,
  ) {
    const { arena, guard, blockBytes } = engine;
    this.words = arena.words;
    this.records = arena.layout.pageRecords;
    this.lookup = engine.cache.lookup;
    this.locks = engine.cache.locks;
    this.dirtyLimit = dirtyLimitOf(engine.cache);
    this.blockBytes = blockBytes;
    this.pagesPerByte = 1 / blockBytes;
    this.readMask = guard.maskOf(Operation.ReadHit);
    this.readsWhole = this.readMask !== 0;
    this.writeMask = guard.maskOf(Operation.Write);
    this.locksRanges = guard.locksRanges;
    this.validatesReads = guard.validatesReads;
  }

  /**
   * Reads what is cached. Returns the bytes read, or -1 when nothing could be read without sleeping. They may be fewer than
   * asked for: unless `readsWhole`, the caller goes on with the slow path, which returns 0 at the end of the file.
   */
  readHit(
    task: Task,
    slot: Slot,
    target: Uint8Array,
    targetOffset: number,
    length: number,
    positionBytes: number,
  ): number {
    if (this.readMask === 0) {
      const index = Math.floor(positionBytes * this.pagesPerByte);
      const start = positionBytes - index * this.blockBytes;
      if (start + length <= this.blockBytes) {
        const n = this.pages.copy(task, slot, index, start, target, targetOffset, length);
        if (n > 0) count(task, Count.ReadHits);
        return n;
      }
      return this.copyOut(task, slot, target, targetOffset, length, positionBytes);
    }
    const { guard } = this.engine;
    const first = Math.floor(positionBytes * this.pagesPerByte);
    const end = Math.ceil((positionBytes + length) * this.pagesPerByte);
    if (this.validatesReads) {
      return this.readValidated(task, slot, target, targetOffset, length, positionBytes, first, end);
    }
    if (!guard.tryEnter(task, slot, Operation.ReadHit, first, end)) return -1;
    const done = this.copyWhole(task, slot, target, targetOffset, length, positionBytes);
    guard.leave(task, slot, this.readMask);
    return done;
  }

  /** Without a lock, and yet all of a write or nothing of it: copies again while somebody has written meanwhile. */
  private readValidated(
    task: Task,
    slot: Slot,
    target: Uint8Array,
    targetOffset: number,
    length: number,
    positionBytes: number,
    first: number,
    end: number,
  ): number {
    const { guard } = this.engine;
    for (let patience = PATIENCE; patience > 0; patience--) {
      const version = guard.versionOf(slot, first, end);
      if (version === CHANGING) continue;
      const done = this.copyWhole(task, slot, target, targetOffset, length, positionBytes);
      if (guard.versionOf(slot, first, end) === version) return done;
      patience -= PATIENCE_FOR_COPY;
    }
    return -1;
  }

  /** The whole request, as far as the file goes; -1 where a page of it is not simply there. */
  private copyWhole(
    task: Task,
    slot: Slot,
    target: Uint8Array,
    targetOffset: number,
    length: number,
    positionBytes: number,
  ): number {
    const done = this.copyOut(task, slot, target, targetOffset, length, positionBytes);
    return done === length || (done >= 0 && positionBytes + done >= sizeOf(this.engine.arena, slot)) ? done : -1;
  }

  /** Writes all of it into cached pages and returns `length`, or does nothing and returns -1. */
  writeHit(
    task: Task,
    slot: Slot,
    source: Uint8Array,
    sourceOffset: number,
    length: number,
    positionBytes: number,
  ): number {
    const { guard, arena } = this.engine;
    const first = Math.floor(positionBytes * this.pagesPerByte);
    const pages = Math.floor((positionBytes + length - 1) * this.pagesPerByte) - first + 1;
    if (length === 0 || pages > WRITE_PAGES_MAX || this.isThrottled(task)) return -1;
    const last = positionBytes + length;
    // Where locks know ranges, who makes the file longer holds it to its end (enter.ts).
    const end = this.locksRanges && last > sizeForHit(arena, slot) ? MAX_FILE_PAGES : first + pages;
    if (!guard.tryEnter(task, slot, Operation.Write, first, end)) return -1;
    // Plain loads from here on: they come behind the lock, and what they look at does not change while it is held.
    const size = sizeForHit(arena, slot);
    let written = -1;
    // Looked at with the lock held: whoever closes the store sets its state first and then waits for locks.
    const isHeld = last <= size || !this.locksRanges || end === MAX_FILE_PAGES;
    if (positionBytes <= size && isHeld && this.words[Header.State] <= StoreState.Open) {
      const taken = this.lockPages(task, slot, first, pages);
      if (taken === pages) {
        this.copyIn(task, slot, source, sourceOffset, length, positionBytes - first * this.blockBytes, pages);
        if (last > size) setSize(task, slot, last);
        touchModified(task, slot);
        written = length;
      }
      for (let i = 0; i < taken; i++) this.locks.unlockUnpin(task, this.locked[i] as Frame);
    }
    guard.leave(task, slot, this.writeMask);
    if (written > 0) count(task, Count.WriteHits, pages);
    return written;
  }

  private copyOut(
    task: Task,
    slot: Slot,
    target: Uint8Array,
    targetOffset: number,
    length: number,
    positionBytes: number,
  ): number {
    const { blockBytes } = this;
    let done = 0;
    while (done < length) {
      const at = positionBytes + done;
      const index = Math.floor(at * this.pagesPerByte);
      const start = at - index * blockBytes;
      const wanted = Math.min(length - done, blockBytes - start);
      const n = this.pages.copy(task, slot, index, start, target, targetOffset + done, wanted);
      if (n < 0) break;
      count(task, Count.ReadHits);
      done += n;
      if (n < wanted) return done;
    }
    return done === 0 && length > 0 ? -1 : done;
  }

  /** Pins and locks pages that may be written without sleeping, as many as follow each other; returns how many. */
  private lockPages(task: Task, slot: Slot, first: number, pages: number): number {
    const { words, records, lookup, locks } = this;
    let taken = 0;
    for (; taken < pages; taken++) {
      const frame = lookup.find(slot, first + taken);
      if (frame === 0) break;
      if (!locks.tryLock(task, frame)) {
        lookup.unpin(frame);
        break;
      }
      const page = records + frame * Page.Words;
      const state = words[page + Page.State];
      // Reserved before the block, as in isBacked.
      const isBacked = (state & PageFlag.Reserved) !== 0 || (words[page + Page.Block] & ~MOVING_BLOCK) !== NO_BLOCK;
      if ((state & (PageFlag.Uptodate | PageFlag.Detached)) !== PageFlag.Uptodate || !isBacked) {
        locks.unlock(task, frame);
        lookup.unpin(frame);
        break;
      }
      if ((state & (PageFlag.Frequency | PageFlag.Prefetched)) !== PageFlag.Frequency) {
        if (lookup.touch(frame, state)) count(task, Count.ReadaheadUsed);
      }
      this.locked[taken] = frame;
    }
    return taken;
  }

  /** Above the limit the slow path makes the writer wait; above half of it background writeback has to know. */
  private isThrottled(task: Task): boolean {
    const dirty = this.words[Header.PagesDirty];
    if (dirty * 2 <= this.dirtyLimit) return false;
    if (dirty > this.dirtyLimit) return true;
    this.hitsSinceWake = (this.hitsSinceWake + 1) & (HITS_PER_WAKE - 1);
    if (this.hitsSinceWake === 0) wakeBackground(task);
    return false;
  }

  /** Into the locked pages, from byte `start` of the first one on. */
  private copyIn(
    task: Task,
    slot: Slot,
    source: Uint8Array,
    sourceOffset: number,
    length: number,
    start: number,
    pages: number,
  ): void {
    const { frames, cache } = this.engine;
    let from = start;
    let done = 0;
    for (let i = 0; i < pages; i++) {
      const frame = this.locked[i] as Frame;
      const n = Math.min(length - done, this.blockBytes - from);
      const at = sourceOffset + done;
      const bytes = at === 0 && n === source.length ? source : source.subarray(at, at + n);
      frames.segment(frame).set(bytes, frames.offset(frame) + from);
      if ((this.words[this.records + frame * Page.Words + Page.State] & PageFlag.Dirty) === 0) {
        cache.markDirty(task, slot, frame);
      }
      done += n;
      from = 0;
    }
  }
}
