/**
 * Where page frames come from: the free list, and when that is empty, pages that are given up.
 *
 * The choice is S3-FIFO's (Yang, Zhang, Qiu, Yue, Rashmi: "FIFO queues are all you need for cache eviction", SOSP 2023):
 * new pages enter a small queue of a tenth of the cache; those used again while there move to the main queue, the others
 * leave and are remembered in a ghost table; a page that comes back while remembered enters the main queue at once; the
 * main queue is a clock with two bits. A scan therefore passes through the small queue and leaves the rest alone. Hits
 * only count in the page's own word: no list, no lock. (Chosen over LRU and SIEVE: an LRU needs a shared list on every
 * hit, and SIEVE, which has no filter before its queue, lets a scan push the hot set out.)
 *
 * Our addition: pages read ahead and not used yet are spared a few times, at the main queue's cost, since the windows of
 * several streams together may be larger than the small queue. Without it eight streams beside a hot set lose 97% of what
 * was read ahead for them, with it 5%.
 *
 * Shares of hits, this code against LRU (test/pagecache/hit-ratios): Zipf 1.0 over 16 times the cache 71.7% against 65.6%;
 * Zipf 0.8 over 8 times the cache 55.8% against 48.4%; a loop over 1.1 times the cache 76% against 0%; a hot set half as
 * large as the cache with scans twice as large as it 79.5%, which is all that can hit, against 73.9%.
 *
 * Any thread may call. Leaf mutexes: reclaim, then the victim's ListLock, then its bucket's; one at a time.
 *
 *  1. A victim is frozen by compare-exchange under the reclaim lock, while it has no pin and none of the flags of BUSY,
 *     and leaves its queue in the same critical section; from then on it is its evictor's alone. It leaves the mapping's
 *     list before anything may sleep, and the hash table before its frame is handed out. Lookups meanwhile miss it.
 *  2. Frames in a thread's hands count in Thread.PageLocks, so that a death with one fences the store instead of losing it.
 *  3. Only `allocate` with `mayWait` sleeps, and only where it may does it write dirty pages back itself. Dirty metadata
 *     waits for its commit.
 */
import { StoreError } from '../errors.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { GlobalLock, Header, Page, Thread } from '../sync/layout.js';
import { lockLeaf, unlockLeaf } from '../sync/leaf.js';
import { Count, count } from '../sync/statistics.js';
import type { Frame, Slot } from '../units.js';
import { Ghosts } from './ghosts.js';
import type { Lookup } from './lookup.js';
import type { Mappings } from './mapping.js';
import { assertTransition, BUSY, FREQUENCY_ONE, PageFlag, PIN_ONE, Transition } from './page.js';
import { QueueName, Queues } from './queues.js';

/** Share of the cache that the small queue may take before it has to give. */
const SMALL_SHARE = 0.1;
/** Uses after which a page in the small queue is kept. */
const KEPT_USES = 2;
/** How often a page read ahead is spared while it waits for its first use: as far as its two bits count. */
const SPARED_MAX = 3;
/** Share of the cache that the small queue may grow to by that. */
const PREFETCHED_SHARE = 0.5;
/** Steps of one search for victims under the lock. */
const STEPS_MAX = 512;
/** Frames freed at once, to spare locks. */
const BATCH = 16;
/** How long an allocation waits for progress by others before it looks again, and before it gives up. */
const WAIT_MS = 20;
const GIVE_UP_MS = 10_000;

export class Reclaim {
  /** Writes some dirty pages back; answers how many. Set by the cache. */
  relieve: (task: Task) => Routine<number> = noRelief;
  private readonly words: Int32Array;
  private readonly records: number;
  private readonly lock: number;
  private readonly verify: boolean;
  private readonly queues: Queues;
  private readonly ghosts: Ghosts;
  private readonly smallMax: number;
  private readonly prefetchedMax: number;
  private readonly batch: number;

  constructor(
    arena: Arena,
    private readonly lookup: Lookup,
    private readonly mappings: Mappings,
  ) {
    const { frames } = arena.layout;
    this.words = arena.words;
    this.records = arena.layout.pageRecords;
    this.lock = arena.layout.locks + GlobalLock.Reclaim;
    this.verify = arena.verify;
    this.queues = new Queues(arena);
    this.smallMax = Math.max(1, Math.floor(frames * SMALL_SHARE));
    this.ghosts = new Ghosts(arena, frames - this.smallMax);
    this.prefetchedMax = Math.floor(frames * PREFETCHED_SHARE);
    this.batch = Math.max(1, Math.min(BATCH, frames >> 8));
  }

  /** Queues pages just inserted. The caller holds their page locks. */
  enqueue(task: Task, frames: Int32Array, total: number): void {
    const { words, records } = this;
    lockLeaf(task, this.lock);
    for (let i = 0; i < total; i++) {
      const page = records + frames[i] * Page.Words;
      const known = this.ghosts.take((words[page + Page.Mapping] - 1) as Slot, words[page + Page.Index]);
      this.queues.pushHead(known ? QueueName.Main : QueueName.Small, frames[i] as Frame);
    }
    unlockLeaf(task, this.lock);
  }

  /** Forgets a page that was detached. */
  dequeue(task: Task, frame: Frame): void {
    lockLeaf(task, this.lock);
    this.queues.remove(frame);
    unlockLeaf(task, this.lock);
  }

  /**
   * Takes up to `wanted` free frames into out[0 …], ascending; at least one with `mayWait`, else none is an answer too. The
   * caller inserts each or gives it back with `giveBack`. Throws ENOMEM when nothing came free for GIVE_UP_MS.
   */
  *allocate(task: Task, mapping: Slot, out: Int32Array, wanted: number, mayWait: boolean): Routine<number> {
    let start = 0;
    for (;;) {
      const sequence = Atomics.load(this.words, Header.FramesWait);
      let got = this.takeFree(task, out, wanted);
      if (got < wanted) got = yield* this.evict(task, out, got, wanted);
      if (got > 0) {
        if (got > 1) out.subarray(0, got).sort();
        return got;
      }
      if (!mayWait) return 0;
      const now = task.driver.now();
      if (start === 0) start = now;
      else if (now - start > GIVE_UP_MS) {
        throw new StoreError('ENOMEM', { detail: 'all page frames are pinned, locked or dirty' });
      }
      yield* this.waitForFrames(task, mapping, sequence);
    }
  }

  /** Frees frames that `allocate` gave and that are in no mapping. */
  giveBack(task: Task, frames: Int32Array, from: number, to: number): void {
    if (from >= to) return;
    lockLeaf(task, this.lock);
    for (let i = to - 1; i >= from; i--) this.queues.pushFree(frames[i] as Frame);
    unlockLeaf(task, this.lock);
    this.words[task.record + Thread.PageLocks] -= to - from;
    this.announce(task);
  }

  /**
   * Evicts a page that the caller has pinned, if it is clean, unlocked and nobody else's; the pin is gone in any case. True
   * if the page went.
   */
  evictPinned(task: Task, frame: Frame): boolean {
    const { words } = this;
    const page = this.records + frame * Page.Words;
    words[task.record + Thread.PageLocks]++;
    lockLeaf(task, this.lock);
    const state = Atomics.load(words, page + Page.State);
    const isFrozen =
      (state & BUSY) === 0 &&
      state >>> 12 === 1 &&
      Atomics.compareExchange(words, page + Page.State, state, PageFlag.Frozen) === state;
    if (isFrozen) this.queues.remove(frame);
    unlockLeaf(task, this.lock);
    if (!isFrozen) {
      words[task.record + Thread.PageLocks]--;
      this.lookup.unpin(frame);
      return false;
    }
    if (this.verify) assertTransition(Transition.Evict, state - PIN_ONE, frame);
    const mapping = (words[page + Page.Mapping] - 1) as Slot;
    this.mappings.remove(task, mapping, frame);
    this.lookup.remove(task, frame, mapping, words[page + Page.Index]);
    if ((state & PageFlag.Prefetched) !== 0) count(task, Count.ReadaheadWasted);
    count(task, Count.Evictions);
    this.giveBack(task, Int32Array.of(frame), 0, 1);
    return true;
  }

  /** Pages may have become evictable or free: allocators look again. */
  announce(task: Task): void {
    Atomics.add(this.words, Header.FramesWait, 1);
    task.driver.wake(Header.FramesWait, Number.POSITIVE_INFINITY);
  }

  private *waitForFrames(task: Task, mapping: Slot, sequence: number): Routine<void> {
    count(task, Count.DirectReclaims);
    // A metadata page may be wanted under locks that writing files back needs.
    if (mapping !== 0 && task.noWriteback === 0 && task.handleDepth === 0) {
      if ((yield* this.relieve(task)) > 0) return;
    }
    Atomics.store(this.words, Header.FramesWanted, 1);
    Atomics.add(this.words, Header.WritebackWork, 1);
    task.driver.wake(Header.WritebackWork, 1);
    yield task.wait(Header.FramesWait, sequence, WAIT_MS);
  }

  private takeFree(task: Task, out: Int32Array, wanted: number): number {
    const { words, records } = this;
    let got = 0;
    lockLeaf(task, this.lock);
    while (got < wanted) {
      words[task.record + Thread.PageLocks]++;
      let frame = this.queues.popFree();
      if (frame === 0) {
        frame = this.queues.takeUnused();
        if (frame !== 0) Atomics.store(words, records + frame * Page.Words + Page.State, PageFlag.Frozen);
      }
      if (frame === 0) {
        words[task.record + Thread.PageLocks]--;
        break;
      }
      out[got++] = frame;
    }
    unlockLeaf(task, this.lock);
    return got;
  }

  /** Evicts until out[0 … wanted) is full or nothing is left to evict; answers how many are there. */
  private *evict(task: Task, out: Int32Array, got: number, wanted: number): Routine<number> {
    const { words, records } = this;
    const victims = new Int32Array(Math.max(wanted - got, this.batch));
    const frozen = this.freeze(task, victims);
    if (frozen === 0) return got;
    this.mappings.removeFrozen(task, victims, frozen);
    try {
      if (task.stopsAtPoints) yield task.point('reclaim:frozen');
    } finally {
      for (let i = 0; i < frozen; i++) {
        const page = records + victims[i] * Page.Words;
        const mapping = (words[page + Page.Mapping] - 1) as Slot;
        this.lookup.remove(task, victims[i] as Frame, mapping, words[page + Page.Index]);
      }
    }
    count(task, Count.Evictions, frozen);
    const taken = Math.min(frozen, wanted - got);
    for (let i = 0; i < taken; i++) out[got + i] = victims[i];
    this.giveBack(task, victims, taken, frozen);
    return got + taken;
  }

  /** Freezes up to victims.length pages and takes them off their queues; answers how many. */
  private freeze(task: Task, victims: Int32Array): number {
    let frozen = 0;
    let steps = 4 * (this.queues.smallCount + this.queues.mainCount) + 8;
    const sweep = new Sweep();
    while (frozen < victims.length && steps > 0 && !sweep.isOver) {
      lockLeaf(task, this.lock);
      for (let i = 0; i < STEPS_MAX && steps > 0 && frozen < victims.length && !sweep.isOver; i++, steps--) {
        // Counted before it is frozen, as all that a death would give away.
        this.words[task.record + Thread.PageLocks]++;
        const frame = this.step(sweep);
        if (frame !== 0) victims[frozen++] = frame;
        else this.words[task.record + Thread.PageLocks]--;
      }
      unlockLeaf(task, this.lock);
    }
    if (sweep.dirty > 0) count(task, Count.EvictionsDirtySkipped, sweep.dirty);
    if (sweep.prefetched > 0) count(task, Count.ReadaheadWasted, sweep.prefetched);
    return frozen;
  }

  /** One step of S3-FIFO: looks at the oldest page of one queue, and freezes it, keeps it, or moves it. */
  private step(sweep: Sweep): Frame {
    const { words, queues } = this;
    const { smallCount, mainCount } = queues;
    const mainSpent = mainCount === 0 || sweep.mainBusy > mainCount;
    // A small queue full of dirty pages is not searched to its end while the main queue has something to give.
    const smallSpent = smallCount === 0 || sweep.smallBusy > (mainSpent ? smallCount : 64 + smallCount / 8);
    if (smallSpent && mainSpent) {
      sweep.isOver = true;
      return 0 as Frame;
    }
    const isSmall = !smallSpent && (smallCount > this.smallMax || mainSpent);
    const queue = isSmall ? QueueName.Small : QueueName.Main;
    const frame = queues.tail(queue);
    const page = this.records + frame * Page.Words;
    const state = Atomics.load(words, page + Page.State);
    const uses = (state & PageFlag.Frequency) / FREQUENCY_ONE;
    queues.remove(frame);
    if ((state & BUSY) !== 0 || state >= PIN_ONE) {
      if ((state & PageFlag.Dirty) !== 0) sweep.dirty++;
      if (isSmall) sweep.smallBusy++;
      else sweep.mainBusy++;
      queues.pushHead(queue, frame);
      return 0 as Frame;
    }
    if (isSmall && (state & PageFlag.Prefetched) !== 0) {
      if (uses < SPARED_MAX && !mainSpent && smallCount < this.prefetchedMax) {
        Atomics.compareExchange(words, page + Page.State, state, state + FREQUENCY_ONE);
        sweep.smallBusy++;
        queues.pushHead(queue, frame);
        return 0 as Frame;
      }
    } else if (isSmall ? uses >= KEPT_USES : uses > 0) {
      if (isSmall) Atomics.and(words, page + Page.State, ~PageFlag.Frequency);
      else Atomics.compareExchange(words, page + Page.State, state, state - FREQUENCY_ONE);
      queues.pushHead(QueueName.Main, frame);
      return 0 as Frame;
    }
    if (Atomics.compareExchange(words, page + Page.State, state, PageFlag.Frozen) !== state) {
      queues.pushHead(queue, frame);
      return 0 as Frame;
    }
    if (this.verify) assertTransition(Transition.Evict, state, frame);
    if ((state & PageFlag.Prefetched) !== 0) sweep.prefetched++;
    if (isSmall) this.ghosts.insert((words[page + Page.Mapping] - 1) as Slot, words[page + Page.Index]);
    return frame;
  }
}

/** What one search for victims has met. */
class Sweep {
  smallBusy = 0;
  mainBusy = 0;
  dirty = 0;
  prefetched = 0;
  isOver = false;
}

function* noRelief(): Routine<number> {
  return 0;
}
