/**
 * Copying out of cached pages without a lock, a generator, an allocation or a sleep.
 *
 * One per thread; what it reads is up to date or not read at all. For the hit path, and for the pages that the slow path
 * finds cached. No shared word is written but, at most, the page's own.
 *
 *  1. It reads the page's identity and state, then the size (again: a truncation sets it before it drops pages), then the
 *     bytes; and it knows that the frame was that page all the while, by a pin or by looking twice.
 *  2. Looking twice, where the processor keeps loads in order (x86): the frame's insertion count, the state (up to date, not
 *     frozen), mapping and index, the bytes, the insertion count again. Who gives a frame to another page raises the count
 *     before all else, while the frame is frozen. So with the count as it was, the state showed the insertion done, the
 *     identity was that insertion's, and every byte came before the next one. If not, the bytes are wiped and the
 *     caller's slow path reads again. It saves two locked operations, behind which the processor would wait with the copy.
 *     Elsewhere: a pin, for the reasons given in pagecache/page.ts; Thread.HitPin names it, so that a thread's death gives
 *     it back.
 */
import { sizeForHit } from '../inode/inode.js';
import type { Frames } from '../pagecache/frames.js';
import { hashOf, type Lookup } from '../pagecache/lookup.js';
import { PageFlag } from '../pagecache/page.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { OWNER_MASK, Page } from '../sync/layout.js';
import { Count, count } from '../sync/statistics.js';
import type { Frame, Slot } from '../units.js';
import { FrameGuess } from './frame-guess.js';

/** As far as a chain is walked before it is called a miss. */
const STEPS_MAX = 64;
/** Up to here a copy by words is faster than the built-in one, whose call costs about as much as 200 bytes. */
const SMALL_BYTES = 256;
/** Out of shared memory V8 copies word by word; Node's own copy, native from 22 on, takes a third to a half of that. */
const COPIES_AS_BUFFER = Number.parseInt(process.versions.node, 10) >= 22;
/** Larger targets are not remembered. */
const REMEMBERED_BYTES = 65536;

/** Flags that are looked at: the page is up to date, in use, and not the one that asks for more readahead. */
const HIT_MASK = PageFlag.Frozen | PageFlag.Uptodate | PageFlag.Readahead;

const NO_BYTES = new Uint8Array(0);
const NO_WORDS = new Uint32Array(0);

export class PageCopier {
  private readonly words: Int32Array;
  private readonly unsigned: Uint32Array;
  private readonly records: number;
  private readonly buckets: number;
  private readonly bucketMask: number;
  private readonly guess: FrameGuess;
  /** The buffer that was read into last, and its bytes as words once it has come twice. */
  private target: Uint8Array = NO_BYTES;
  private targetWords: Uint32Array = NO_WORDS;
  /** Keeps the compiler from leaving a load out. */
  early = 0;

  constructor(
    private readonly arena: Arena,
    private readonly frames: Frames,
    private readonly lookup: Lookup,
    private readonly blockBytes: number,
    /** Looks twice instead of pinning: only where the processor keeps loads in order. */
    private readonly optimistic: boolean,
  ) {
    this.words = arena.words;
    this.unsigned = arena.unsigned;
    this.records = arena.layout.pageRecords;
    this.buckets = arena.layout.pageBuckets;
    this.bucketMask = arena.layout.pageBucketMask;
    this.guess = new FrameGuess(arena.layout.frames);
  }

  /**
   * Copies up to `wanted` bytes from byte `start` of the page on, fewer where the file ends; answers how many, or -1 when the
   * page is not simply there, or is the one that asks for more readahead. Nothing is waited for: see invariant 2 for the
   * order of the loads.
   */
  copy(
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
    const guessed = this.guess.frameOf(slot, index);
    let page = records + guessed * Page.Words;
    let frame: number = guessed;
    if (guessed === 0 || words[page + Page.Index] !== key || words[page + Page.Mapping] !== tag) {
      frame = words[this.buckets + (hashOf(slot, index) & this.bucketMask)];
      if (frame === 0) return -1;
    }
    // Most likely this is it: its bytes come into the processor's cache while the descriptor does.
    this.early = frames.segment(frame as Frame)[frames.offset(frame as Frame) + start];
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
    if (frame !== guessed) this.guess.learn(slot, index, frame as Frame);
    const n = Math.min(wanted, sizeForHit(this.arena, slot) - index * this.blockBytes - start);
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
      n = Math.min(wanted, sizeForHit(this.arena, slot) - index * this.blockBytes - start);
      if (n > 0) this.copyPage(frame, start, target, targetOffset, n);
      else n = 0;
      this.countUse(task, frame, state);
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
      this.copyBytes(frame, from, target, targetOffset, n);
      return;
    }
    const source = frames.words(frame);
    const words = this.targetWords;
    let to = targetOffset >>> 2;
    const last = from + n;
    // A view made before its buffer was shrunk or handed away has no length any more.
    if (to + (n >>> 2) > words.length) {
      this.copyBytes(frame, from, target, targetOffset, n);
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
  private copyBytes(frame: Frame, from: number, target: Uint8Array, targetOffset: number, n: number): void {
    if (COPIES_AS_BUFFER) this.frames.buffer(frame).copy(target, targetOffset, from, from + n);
    else target.set(this.frames.segment(frame).subarray(from, from + n), targetOffset);
    if (n > SMALL_BYTES || (target.byteOffset & 3) !== 0 || target.byteLength > REMEMBERED_BYTES) return;
    if (target === this.target && this.targetWords.length === 0) {
      this.targetWords = new Uint32Array(target.buffer, target.byteOffset, target.byteLength >>> 2);
    } else if (target !== this.target) {
      this.target = target;
      this.targetWords = NO_WORDS;
    }
  }
}
