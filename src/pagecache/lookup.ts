/**
 * The hash table of cached pages, and pins: from (mapping, index) to a pinned frame.
 *
 * Any thread may call. `find`, `unpin` and `touch` are the hot path: no lock, no allocation, one shared word written, the
 * page's own. page.ts says why a hit without a lock is safe. The rest takes one leaf mutex, the bucket's.
 *
 *  1. A chain changes under its bucket's lock. Removal leaves the removed frame's own link alone, so that a walker that
 *     stands on it goes on; it may end up in another chain when the frame is reused, and then misses. Steps are counted,
 *     so that no knot tied by reuse holds it.
 *  2. A key is in its chain at most once in a frame that is not frozen: insertion looks under the lock first. Frozen
 *     frames with the same key may be there besides, on their way out; all lookups step over them or miss.
 *  3. `find` may miss what is cached; `lookup` does not.
 */
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { BUCKET_LOCKS, GlobalLock, Header, INSERTION_ONE, OWNER_MASK, Page, Thread } from '../sync/layout.js';
import { lockLeaf, unlockLeaf } from '../sync/leaf.js';
import type { Frame, Slot } from '../units.js';
import { afterTransition, assertTransition, FREQUENCY_ONE, PageFlag, PIN_ONE, Transition } from './page.js';

const STEPS_MAX = 64;
const NONE = 0 as Frame;

export class Lookup {
  private readonly words: Int32Array;
  private readonly records: number;
  private readonly buckets: number;
  private readonly bucketMask: number;
  private readonly locks: number;
  /** Of a bucket's number: where there are fewer buckets than locks, a bucket must not have two. */
  private readonly lockMask: number;
  private readonly verify: boolean;

  constructor(arena: Arena) {
    this.words = arena.words;
    this.records = arena.layout.pageRecords;
    this.buckets = arena.layout.pageBuckets;
    this.bucketMask = arena.layout.pageBucketMask;
    this.locks = arena.layout.locks + GlobalLock.Buckets;
    this.lockMask = this.bucketMask & (BUCKET_LOCKS - 1);
    this.verify = arena.verify;
  }

  /**
   * The page's frame, pinned, or 0. What it holds is to be looked at only once its state says Uptodate.
   *
   * One atomic operation, the pin. The walk before it may read anything, stale links too, since the page is identified
   * again behind it, by loads that see what is no older than the state word. Plain loads cost a fifth of atomic ones.
   */
  find(mapping: Slot, index: number): Frame {
    const { words, records } = this;
    const key = index | 0;
    const tag = mapping + 1;
    let frame = words[this.buckets + (hashOf(mapping, index) & this.bucketMask)];
    for (let steps = 0; frame !== 0 && steps < STEPS_MAX; steps++) {
      const at = records + frame * Page.Words;
      if (words[at + Page.Index] === key && words[at + Page.Mapping] === tag) {
        const old = Atomics.add(words, at + Page.State, PIN_ONE);
        if ((old & PageFlag.Frozen) === 0 && words[at + Page.Mapping] === tag && words[at + Page.Index] === key) {
          return frame as Frame;
        }
        this.unpin(frame as Frame);
        return NONE;
      }
      frame = words[at + Page.HashNext];
    }
    return NONE;
  }

  /**
   * `find` for hit paths, which hold nothing else that their death would give away: Thread.HitPin names the frame for as
   * long as it is pinned. No call stands between the pin and the word, so that a thread that is terminated has set both or
   * neither (sync/threads.ts). Undone by `unpinHit`, before the next one.
   */
  findHit(record: number, mapping: Slot, index: number): Frame {
    const { words, records } = this;
    const key = index | 0;
    const tag = mapping + 1;
    let frame = words[this.buckets + (hashOf(mapping, index) & this.bucketMask)];
    for (let steps = 0; frame !== 0 && steps < STEPS_MAX; steps++) {
      const at = records + frame * Page.Words;
      if (words[at + Page.Index] === key && words[at + Page.Mapping] === tag) {
        words[record + Thread.HitPin] = frame;
        const old = Atomics.add(words, at + Page.State, PIN_ONE);
        if ((old & PageFlag.Frozen) === 0 && words[at + Page.Mapping] === tag && words[at + Page.Index] === key) {
          return frame as Frame;
        }
        this.unpinHit(record, frame as Frame);
        return NONE;
      }
      frame = words[at + Page.HashNext];
    }
    return NONE;
  }

  unpinHit(record: number, frame: Frame): void {
    const left = Atomics.sub(this.words, this.records + frame * Page.Words + Page.State, PIN_ONE) - PIN_ONE;
    this.words[record + Thread.HitPin] = 0;
    if (left < PIN_ONE && (left & PageFlag.Detached) !== 0) this.freeDetached(frame, left);
  }

  /** One more pin on a page that the caller has pinned already. */
  pin(frame: Frame): void {
    Atomics.add(this.words, this.records + frame * Page.Words + Page.State, PIN_ONE);
  }

  unpin(frame: Frame): void {
    const left = Atomics.sub(this.words, this.records + frame * Page.Words + Page.State, PIN_ONE) - PIN_ONE;
    if (left < PIN_ONE && (left & PageFlag.Detached) !== 0) this.freeDetached(frame, left);
  }

  /**
   * Counts a use, for reclaim; `old` is the state word as the caller last read it. Call it once for each time a reader comes
   * to a page, not for each piece it takes of it. True when the page was read ahead, and this is its first use.
   */
  touch(frame: Frame, old: number): boolean {
    if ((old & (PageFlag.Frequency | PageFlag.Prefetched)) === PageFlag.Frequency) return false;
    const at = this.records + frame * Page.Words + Page.State;
    // Until its first use, the count of a page read ahead says how often reclaim has spared it.
    const isFirst = (old & PageFlag.Prefetched) !== 0;
    const used = isFirst ? old & ~(PageFlag.Prefetched | PageFlag.Frequency) : old;
    // A lost count is no matter; a torn one would spill into the next flag.
    return Atomics.compareExchange(this.words, at, old, used + FREQUENCY_ONE) === old && isFirst;
  }

  /** As `find`, authoritative: 0 means that the page was not cached at some moment during the call. */
  lookup(task: Task, mapping: Slot, index: number): Frame {
    const hash = hashOf(mapping, index);
    const lock = this.locks + (hash & this.lockMask);
    lockLeaf(task, lock);
    const frame = this.walk(hash, mapping, index);
    unlockLeaf(task, lock);
    return frame;
  }

  /**
   * Puts a free frame of the caller's into the table as that page: locked by the caller, pinned, not up to date. Or, when
   * the page is there by now, pins and returns that one; the caller keeps its frame. `hints` are flags that the new page gets.
   */
  insert(task: Task, frame: Frame, mapping: Slot, index: number, hints = 0): Frame {
    const { words } = this;
    const hash = hashOf(mapping, index);
    const lock = this.locks + (hash & this.lockMask);
    lockLeaf(task, lock);
    const present = this.walk(hash, mapping, index);
    if (present === NONE) {
      const at = this.records + frame * Page.Words;
      const bucket = this.buckets + (hash & this.bucketMask);
      const insertion = (words[at + Page.Owner] & ~OWNER_MASK) + INSERTION_ONE;
      Atomics.store(words, at + Page.Owner, insertion | (task.thread + 1));
      words[at + Page.Mapping] = mapping + 1;
      words[at + Page.Index] = index;
      words[at + Page.Block] = 0;
      words[at + Page.DirtiedAt] = 0;
      // Only pins can have come or gone since the frame was frozen, so the addition is exact.
      const old = Atomics.add(words, at + Page.State, PIN_ONE + PageFlag.Locked + hints - PageFlag.Frozen);
      if (this.verify) assertTransition(Transition.Insert, old, frame);
      words[at + Page.HashNext] = words[bucket];
      Atomics.store(words, bucket, frame);
    }
    unlockLeaf(task, lock);
    return present;
  }

  /**
   * Makes a page that the caller has locked a detached one, and takes it out of the table. Returns the state word that it
   * had, so that the caller can settle what its flags stood for; 0 when it was detached before.
   */
  detach(task: Task, frame: Frame, mapping: Slot, index: number): number {
    const { words } = this;
    const hash = hashOf(mapping, index);
    const lock = this.locks + (hash & this.lockMask);
    const at = this.records + frame * Page.Words;
    lockLeaf(task, lock);
    let old = 0;
    if (words[at + Page.Mapping] === mapping + 1) {
      Atomics.store(words, at + Page.Mapping, 0);
      for (;;) {
        old = Atomics.load(words, at + Page.State);
        const next = afterTransition(Transition.Detach, old);
        if (Atomics.compareExchange(words, at + Page.State, old, next) === old) break;
      }
      this.unlink(hash, frame);
    }
    unlockLeaf(task, lock);
    if (this.verify && old !== 0) assertTransition(Transition.Detach, old, frame);
    return old;
  }

  /** Takes a frozen frame, which only its evictor may touch, out of the table. */
  remove(task: Task, frame: Frame, mapping: Slot, index: number): void {
    const hash = hashOf(mapping, index);
    const lock = this.locks + (hash & this.lockMask);
    lockLeaf(task, lock);
    this.unlink(hash, frame);
    this.words[this.records + frame * Page.Words + Page.Mapping] = 0;
    unlockLeaf(task, lock);
  }

  /** The pinned frame of a key in its chain, or 0. Under the bucket's lock. */
  private walk(hash: number, mapping: Slot, index: number): Frame {
    const { words, records } = this;
    const key = index | 0;
    let frame = words[this.buckets + (hash & this.bucketMask)];
    while (frame !== 0) {
      const at = records + frame * Page.Words;
      if (words[at + Page.Index] === key && words[at + Page.Mapping] === mapping + 1) {
        if ((Atomics.add(words, at + Page.State, PIN_ONE) & PageFlag.Frozen) === 0) return frame as Frame;
        this.unpin(frame as Frame);
      }
      frame = words[at + Page.HashNext];
    }
    return NONE;
  }

  /** Under the bucket's lock. */
  private unlink(hash: number, frame: Frame): void {
    const { words, records } = this;
    let link = this.buckets + (hash & this.bucketMask);
    while (words[link] !== frame) {
      if (words[link] === 0) return;
      link = records + words[link] * Page.Words + Page.HashNext;
    }
    // Whoever still comes to the frame by the old link finds it frozen or detached.
    words[link] = words[records + frame * Page.Words + Page.HashNext];
  }

  /** The page has lost its last pin: whoever swaps the very word that was left pushes the frame on the detached stack. */
  freeDetached(frame: Frame, left: number): void {
    const { words } = this;
    const at = this.records + frame * Page.Words;
    if (Atomics.compareExchange(words, at + Page.State, left, PageFlag.Frozen) !== left) return;
    if (this.verify) assertTransition(Transition.Free, left, frame);
    // Pushed one by one but only ever taken whole, so the head cannot come back to an old value unnoticed.
    for (;;) {
      const head = Atomics.load(words, Header.DetachedHead);
      words[at + Page.QueueNext] = head;
      if (Atomics.compareExchange(words, Header.DetachedHead, head, frame) === head) return;
    }
  }
}

/** Pages that follow each other in a file share a line of buckets, so many at most: 2 ** NEIGHBOUR_BITS. */
const NEIGHBOUR_BITS = 4;
const NEIGHBOURS = (1 << NEIGHBOUR_BITS) - 1;

/**
 * Mixes all bits of mapping and index into the low ones: strides of any power of two spread over all buckets. Of an aligned
 * group of pages each has a bucket of its own, and all of them lie in one line of memory.
 */
export function hashOf(mapping: Slot, index: number): number {
  let h = Math.imul(index >>> NEIGHBOUR_BITS, 0x9e37_79b1) ^ Math.imul(mapping + 1, 0x85eb_ca77);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b_3c6d);
  h ^= h >>> 13;
  // The group's own bits turn its pages around, so that those of many groups with the same place in theirs spread too.
  return h ^ (index & NEIGHBOURS);
}
