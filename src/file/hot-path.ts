/**
 * The hits: reads and writes of cached pages, without a generator, an allocation or a sleep.
 *
 * One per thread. Reads: no lock, unless the scheme asks for one; no shared word written but, at most, the page's own. Writes: the
 * scheme's write locks and the page locks, all by try-lock. Whatever is not simply there is left to the slow paths.
 *
 *  1. A read hit reads the page's identity and state, then the size (again: a truncation sets it before it drops pages),
 *     then the bytes; and it knows that the frame was that page all the while, by a pin or by looking twice.
 *  2. Looking twice, where the processor keeps loads in order (x86): the frame's insertion count, the state (up to date, not
 *     frozen), mapping and index, the bytes, the insertion count again. Who gives a frame to another page raises the count
 *     before all else, while the frame is frozen. So with the count as it was, the state showed the insertion done, the
 *     identity was that insertion's, and every byte came before the next one. If not, the bytes are wiped and the
 *     slow path reads again. It saves two locked operations, behind which the processor would wait with the copy. Elsewhere:
 *     a pin, for the reasons given in pagecache/page.ts; Thread.HitPin names it, so that a thread's death gives it back.
 *  3. Under a scheme that locks read hits a read is all or nothing, so that it is atomic together with its slow path.
 *  4. A write hit takes all its pages before it copies a byte, and never makes the file grow by more than those pages
 *     hold: invariants 1 to 3 of write.ts hold without it ever having to undo anything.
 */
import { setSize, sizeForHit, sizeOf, touchModified } from '../inode/inode.js';
import { Operation } from '../locking/schemes.js';
import { dirtyLimitOf, wakeBackground } from '../pagecache/dirty-limit.js';
import type { Frames } from '../pagecache/frames.js';
import { hashOf, type Lookup } from '../pagecache/lookup.js';
import { PageFlag } from '../pagecache/page.js';
import type { PageLock } from '../pagecache/page-lock.js';
import type { Task } from '../routine/task.js';
import { Header, NO_BLOCK, OWNER_MASK, Page, StoreState } from '../sync/layout.js';
import { Count, count } from '../sync/statistics.js';
import type { Frame, Slot } from '../units.js';
import type { Engine } from './engine.js';

/** As far as a chain is walked before it is called a miss. */
const STEPS_MAX = 64;
/** Pages of one write hit. */
const WRITE_PAGES_MAX = 16;
/** Up to here a copy by words is faster than the built-in one, whose call costs about as much as 200 bytes. */
const SMALL_BYTES = 256;
/** Write hits between two wake-ups of background writeback. A power of two. */
const HITS_PER_WAKE = 64;
/** Larger targets are not remembered. */
const REMEMBERED_BYTES = 65536;

/** Flags that a hit looks at: the page is up to date, in use, and not the one that asks for more readahead. */
const HIT_MASK = PageFlag.Frozen | PageFlag.Uptodate | PageFlag.Readahead;

const NO_BYTES = new Uint8Array(0);
const NO_WORDS = new Uint32Array(0);

export class HotPath {
  private readonly words: Int32Array;
  private readonly unsigned: Uint32Array;
  private readonly records: number;
  private readonly buckets: number;
  private readonly bucketMask: number;
  private readonly lookup: Lookup;
  private readonly locks: PageLock;
  private readonly frames: Frames;
  private readonly blockBytes: number;
  private readonly pagesPerByte: number;
  private readonly readMask: number;
  private readonly writeMask: number;
  private readonly locked = new Int32Array(WRITE_PAGES_MAX);
  /** The buffer that was read into last, and its bytes as words once it has come twice. */
  private target: Uint8Array = NO_BYTES;
  private targetWords: Uint32Array = NO_WORDS;
  private readonly dirtyLimit: number;
  private hitsSinceWake = 0;
  /** Keeps the compiler from leaving a load out. */
  early = 0;

  constructor(
    readonly engine: Engine,
    private readonly optimistic = process.arch === 'x64',
  ) {
    const { arena, guard, blockBytes } = engine;
    this.words = arena.words;
    this.unsigned = arena.unsigned;
    this.records = arena.layout.pageRecords;
    this.buckets = arena.layout.pageBuckets;
    this.bucketMask = arena.layout.pageBucketMask;
    this.lookup = engine.cache.lookup;
    this.locks = engine.cache.locks;
    this.frames = engine.frames;
    this.dirtyLimit = dirtyLimitOf(engine.cache);
    this.blockBytes = blockBytes;
    this.pagesPerByte = 1 / blockBytes;
    this.readMask = guard.maskOf(Operation.ReadHit);
    this.writeMask = guard.maskOf(Operation.Write);
  }

  /**
   * Reads what is cached. Returns the bytes read, which may be fewer than asked for (the caller goes on with the slow
   * path, which returns 0 at the end of the file), or -1 when nothing could be read without sleeping.
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
        return this.copyFromPage(task, slot, index, start, target, targetOffset, length);
      }
      return this.copyOut(task, slot, target, targetOffset, length, positionBytes);
    }
    const { guard, arena } = this.engine;
    const first = Math.floor(positionBytes * this.pagesPerByte);
    const end = Math.ceil((positionBytes + length) * this.pagesPerByte);
    if (!guard.tryEnter(task, slot, Operation.ReadHit, first, end)) return -1;
    const done = this.copyOut(task, slot, target, targetOffset, length, positionBytes);
    const isWhole = done === length || (done >= 0 && positionBytes + done >= sizeOf(arena, slot));
    guard.leave(task, slot, this.readMask);
    return isWhole ? done : -1;
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
    if (!guard.tryEnter(task, slot, Operation.Write, first, first + pages)) return -1;
    // Plain loads from here on: they come behind the lock, and what they look at does not change while it is held.
    const size = sizeForHit(arena, slot);
    let written = -1;
    // Looked at with the lock held: whoever closes the store sets its state first and then waits for locks.
    if (positionBytes <= size && this.words[Header.State] <= StoreState.Open) {
      const taken = this.lockPages(task, slot, first, pages);
      if (taken === pages) {
        this.copyIn(task, slot, source, sourceOffset, length, positionBytes - first * this.blockBytes, pages);
        if (positionBytes + length > size) setSize(task, slot, positionBytes + length);
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
      const n = this.copyFromPage(task, slot, index, start, target, targetOffset + done, wanted);
      if (n < 0) break;
      done += n;
      if (n < wanted) return done;
    }
    return done === 0 && length > 0 ? -1 : done;
  }

  /**
   * Up to `wanted` bytes of one page; -1 when it is not simply there. Nothing shared is written or waited for: see invariant
   * 2 for the order of the loads.
   */
  private copyFromPage(
    task: Task,
    slot: Slot,
    index: number,
    start: number,
    target: Uint8Array,
    targetOffset: number,
    wanted: number,
  ): number {
    if (!this.optimistic) return this.copyPinned(task, slot, index, start, target, targetOffset, wanted);
    const { words, records, frames } = this;
    const tag = slot + 1;
    const key = index | 0;
    let frame = words[this.buckets + (hashOf(slot, index) & this.bucketMask)];
    if (frame === 0) return -1;
    // Most likely this is it: its bytes come into the processor's cache while the descriptor does.
    this.early = frames.segment(frame as Frame)[frames.offset(frame as Frame) + start];
    let page = 0;
    let owner = 0;
    let state = 0;
    for (let steps = 0; ; steps++) {
      if (frame === 0 || steps === STEPS_MAX) return -1;
      page = records + frame * Page.Words;
      owner = words[page + Page.Owner];
      state = words[page + Page.State];
      if (words[page + Page.Index] === key && words[page + Page.Mapping] === tag) break;
      frame = words[page + Page.HashNext];
    }
    if ((state & HIT_MASK) !== PageFlag.Uptodate) return -1;
    const n = Math.min(wanted, sizeForHit(this.engine.arena, slot) - index * this.blockBytes - start);
    if (n <= 0) return 0;
    this.copyPage(frame as Frame, start, target, targetOffset, n);
    // Through another view, so that no compiler takes the first load's value for this one's.
    if (((this.unsigned[page + Page.Owner] ^ owner) & ~OWNER_MASK) !== 0) {
      target.fill(0, targetOffset, targetOffset + n);
      return -1;
    }
    if ((state & (PageFlag.Frequency | PageFlag.Prefetched)) !== PageFlag.Frequency) {
      this.countUse(task, frame as Frame, state);
    }
    count(task, Count.ReadHits);
    return n;
  }

  /** The same with the page pinned, for processors that do not keep loads in order. */
  private copyPinned(
    task: Task,
    slot: Slot,
    index: number,
    start: number,
    target: Uint8Array,
    targetOffset: number,
    wanted: number,
  ): number {
    const { lookup } = this;
    const frame = lookup.findHit(task.record, slot, index);
    if (frame === 0) return -1;
    const state = Atomics.load(this.words, this.records + frame * Page.Words + Page.State);
    let n = -1;
    if ((state & HIT_MASK) === PageFlag.Uptodate) {
      n = Math.min(wanted, sizeForHit(this.engine.arena, slot) - index * this.blockBytes - start);
      if (n > 0) this.copyPage(frame, start, target, targetOffset, n);
      else n = 0;
      this.countUse(task, frame, state);
      count(task, Count.ReadHits);
    }
    lookup.unpinHit(task.record, frame);
    return n;
  }

  private countUse(task: Task, frame: Frame, state: number): void {
    if (this.lookup.touch(frame, state)) count(task, Count.ReadaheadUsed);
  }

  private copyPage(frame: Frame, start: number, target: Uint8Array, targetOffset: number, n: number): void {
    const { frames } = this;
    const from = frames.offset(frame) + start;
    if (n > SMALL_BYTES || target !== this.target || ((from | targetOffset | n) & 3) !== 0) {
      this.copyBytes(frames.segment(frame), from, target, targetOffset, n);
      return;
    }
    const source = frames.words(frame);
    const words = this.targetWords;
    let to = targetOffset >>> 2;
    const last = from + n;
    // A view made before its buffer was shrunk or handed away has no length any more.
    if (to + (n >>> 2) > words.length) {
      this.copyBytes(frames.segment(frame), from, target, targetOffset, n);
      return;
    }
    let at = from >>> 2;
    for (const end = (last >>> 2) - 3; at < end; at += 4, to += 4) {
      words[to] = source[at];
      words[to + 1] = source[at + 1];
      words[to + 2] = source[at + 2];
      words[to + 3] = source[at + 3];
    }
    for (const end = last >>> 2; at < end; at++, to++) words[to] = source[at];
  }

  /** The built-in copy. A target that comes for small reads is remembered, so that the next one can go by words. */
  private copyBytes(source: Uint8Array, from: number, target: Uint8Array, targetOffset: number, n: number): void {
    target.set(source.subarray(from, from + n), targetOffset);
    if (n > SMALL_BYTES || (target.byteOffset & 3) !== 0 || target.byteLength > REMEMBERED_BYTES) return;
    if (target === this.target && this.targetWords.length === 0) {
      this.targetWords = new Uint32Array(target.buffer, target.byteOffset, target.byteLength >>> 2);
    } else if (target !== this.target) {
      this.target = target;
      this.targetWords = NO_WORDS;
    }
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
      const isBacked = (state & PageFlag.Reserved) !== 0 || words[page + Page.Block] !== NO_BLOCK;
      if ((state & (PageFlag.Uptodate | PageFlag.Detached)) !== PageFlag.Uptodate || !isBacked) {
        locks.unlock(task, frame);
        lookup.unpin(frame);
        break;
      }
      if ((state & (PageFlag.Frequency | PageFlag.Prefetched)) !== PageFlag.Frequency) {
        this.countUse(task, frame, state);
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
