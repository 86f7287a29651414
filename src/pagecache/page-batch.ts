/**
 * Consecutive whole pages that one thread has locked together, to write all of them.
 *
 * Any thread that excludes invalidation in the range. The pages are locked in ascending order, by try-lock, so that
 * nothing is waited for with a page locked; the batch ends before the first page that is not simply to be had.
 *
 *  1. Pages that the batch made are in the hash table and locked, but on no list and no queue before `commit` puts them
 *     there, as dirty ones; nobody else gets past their lock until then.
 *  2. A page that was cached before is up to date, and stays so.
 *  3. Every batch ends in `commit` and `unlock`, or in `abandon`.
 */
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { Page } from '../sync/layout.js';
import type { Frame, Slot } from '../units.js';
import type { CacheParts } from './cache-parts.js';
import { detach } from './drop.js';
import { assertTransition, PageFlag, Transition } from './page.js';

export class PageBatch {
  readonly frames: Int32Array;
  /** 1: the batch has put the page into the cache. */
  readonly created: Uint8Array;
  /** Page index of the first. */
  first = 0;
  total = 0;
  private readonly made: Int32Array;
  private readonly spare: Int32Array;

  constructor(size: number) {
    this.frames = new Int32Array(size);
    this.created = new Uint8Array(size);
    this.made = new Int32Array(size);
    this.spare = new Int32Array(size);
  }

  /** Locks up to `count` of the pages from `first` on, pinned. Fewer, or none, when a page or a frame is not at hand. */
  *lock(cache: CacheParts, task: Task, mapping: Slot, first: number, count: number): Routine<void> {
    const { lookup, locks, reclaim } = cache;
    const { spare } = this;
    const wanted = Math.min(count, this.frames.length);
    let spares = 0;
    let used = 0;
    this.first = first;
    this.total = 0;
    try {
      while (this.total < wanted) {
        const index = first + this.total;
        let frame = lookup.find(mapping, index);
        if (frame === 0) {
          if (used === spares) {
            used = 0;
            spares = yield* reclaim.allocate(task, mapping, spare, wanted - this.total, false);
            if (spares === 0) break;
          }
          frame = lookup.insert(task, spare[used] as Frame, mapping, index);
          if (frame === 0) {
            frame = spare[used++] as Frame;
            locks.adopt(task, frame);
            this.push(frame, true);
            continue;
          }
        }
        if (!lockUptodate(cache, task, frame)) break;
        this.push(frame, false);
      }
    } finally {
      reclaim.giveBack(task, spare, used, spares);
    }
  }

  /** All pages hold what they should, the new ones with their block set: they are up to date and dirty now. */
  commit(cache: CacheParts, task: Task, mapping: Slot): void {
    const { words, layout } = cache.arena;
    for (let i = 0; i < this.total; i++) {
      const frame = this.frames[i] as Frame;
      if (this.created[i] === 0) {
        cache.mappings.markDirty(task, mapping, frame);
      } else {
        const state = layout.pageRecords + frame * Page.Words + Page.State;
        const old = Atomics.or(words, state, PageFlag.Uptodate | PageFlag.Dirty);
        if (task.lockdep !== null) assertTransition(Transition.FillDone, old, frame);
      }
    }
    const made = this.listMade();
    if (made === 0) return;
    cache.mappings.addDirty(task, mapping, this.made, made);
    cache.reclaim.enqueue(task, this.made, made);
  }

  unlock(cache: CacheParts, task: Task): void {
    for (let i = 0; i < this.total; i++) cache.locks.unlockUnpin(task, this.frames[i] as Frame);
    this.total = 0;
  }

  /** Instead of a commit: the new pages leave the cache again. Returns the reservations that they held. */
  abandon(cache: CacheParts, task: Task, mapping: Slot): number {
    const made = this.listMade();
    if (made > 0) {
      cache.mappings.add(task, mapping, this.made, made);
      cache.reclaim.enqueue(task, this.made, made);
    }
    let reserved = 0;
    for (let i = 0; i < this.total; i++) {
      const frame = this.frames[i] as Frame;
      if (this.created[i] === 1) reserved += detach(cache, task, mapping, frame, this.first + i);
      cache.locks.unlock(task, frame);
      cache.lookup.unpin(frame);
    }
    this.total = 0;
    return reserved;
  }

  private push(frame: Frame, created: boolean): void {
    this.frames[this.total] = frame;
    this.created[this.total++] = created ? 1 : 0;
  }

  private listMade(): number {
    let made = 0;
    for (let i = 0; i < this.total; i++) if (this.created[i] === 1) this.made[made++] = this.frames[i];
    return made;
  }
}

/** Locks a pinned page if that needs no waiting and it is attached and up to date; otherwise unpins it. */
function lockUptodate(cache: CacheParts, task: Task, frame: Frame): boolean {
  const { words, layout } = cache.arena;
  if (cache.locks.tryLock(task, frame)) {
    const state = Atomics.load(words, layout.pageRecords + frame * Page.Words + Page.State);
    if ((state & (PageFlag.Uptodate | PageFlag.Detached)) === PageFlag.Uptodate) return true;
    cache.locks.unlock(task, frame);
  }
  cache.lookup.unpin(frame);
  return false;
}
