/**
 * The pages of a mapping: its clean and its dirty list, and the counts that go with them.
 *
 * The lists lie in the mapping's in-core inode and in the page descriptors, under the leaf mutex Inode.ListLock; counts are
 * read without it. Any thread may call.
 *
 *  1. A page is on one list of its mapping from soon after its insertion (its inserter still holds the page lock) until it
 *     is detached or frozen. It is on the dirty list while it is dirty or under writeback, so that who walks that list
 *     meets everything whose content the device may lack; DirtiedAt is not 0 exactly then.
 *  2. The dirty list is in the order in which pages got onto it, oldest first. A page dirtied again while it is under
 *     writeback keeps its place until writeback ends, and then goes to the end.
 *  3. Dirty is set before, and Writeback cleared inside, the critical section. So of a page dirtied while its writeback
 *     ends, either the end sees Dirty and leaves it on the list, or the dirtier finds it on the clean list and moves it.
 *  4. A page under writeback cannot be detached, and so keeps its mapping's slot from being given to another inode.
 */
import { assert } from '../assert.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { Header, Inode, Page, Thread } from '../sync/layout.js';
import { lockLeaf, unlockLeaf } from '../sync/leaf.js';
import type { Frame, Slot } from '../units.js';
import { assertTransition, PageFlag, Transition } from './page.js';
import type { PageLock } from './page-lock.js';

const METADATA = 0;
const SNAPSHOT_SLACK = 64;
/** So many numbers the JavaScript engine keeps in its own heap; memory outside of it is dear to make and to free. */
const SNAPSHOT_SMALL = 16;

/** Which pages of a mapping a snapshot takes. */
export const enum PageKind {
  Cached,
  /** Dirty or under writeback. */
  Unsaved,
  /** Dirty, and neither locked nor under writeback: what can be written back at once. */
  Writable,
}

export class Mappings {
  private readonly words: Int32Array;
  private readonly unsigned: Uint32Array;
  private readonly records: number;
  private readonly inodes: number;
  private readonly verify: boolean;

  constructor(
    arena: Arena,
    private readonly locks: PageLock,
  ) {
    this.words = arena.words;
    this.unsigned = arena.unsigned;
    this.records = arena.layout.pageRecords;
    this.inodes = arena.layout.inodeRecords;
    this.verify = arena.verify;
  }

  /** Cached pages of the mapping. */
  pagesOf(mapping: Slot): number {
    return Atomics.load(this.words, this.at(mapping) + Inode.Pages);
  }

  /** Those of them that are dirty or under writeback. */
  dirtyPagesOf(mapping: Slot): number {
    return Atomics.load(this.words, this.at(mapping) + Inode.PagesDirty);
  }

  /** When the page that has been on the dirty list longest got there, in seconds of `secondsOf`; 0 for an empty list. */
  oldestDirtyOf(mapping: Slot): number {
    const head = Atomics.load(this.words, this.at(mapping) + Inode.DirtyHead);
    return head === 0 ? 0 : this.words[this.records + head * Page.Words + Page.DirtiedAt];
  }

  /** Puts frames just inserted on the clean list. The caller holds their page locks. */
  add(task: Task, mapping: Slot, frames: Int32Array, count: number): void {
    const { words } = this;
    const at = this.at(mapping);
    lockLeaf(task, at + Inode.ListLock);
    for (let i = 0; i < count; i++) this.linkClean(at, frames[i]);
    words[at + Inode.Pages] += count;
    unlockLeaf(task, at + Inode.ListLock);
  }

  /** As `add`, for pages whose Dirty flag was set before: they go on the dirty list at once. */
  addDirty(task: Task, mapping: Slot, frames: Int32Array, count: number): void {
    const { words } = this;
    const at = this.at(mapping);
    const now = secondsOf(task);
    lockLeaf(task, at + Inode.ListLock);
    for (let i = 0; i < count; i++) this.linkDirty(at, frames[i], now);
    words[at + Inode.Pages] += count;
    words[at + Inode.PagesDirty] += count;
    Atomics.add(words, dirtyCount(mapping), count);
    unlockLeaf(task, at + Inode.ListLock);
  }

  /** Takes a page off its list that was detached with its lock held, or frozen. */
  remove(task: Task, mapping: Slot, frame: Frame): void {
    const { words } = this;
    const at = this.at(mapping);
    lockLeaf(task, at + Inode.ListLock);
    this.unlink(at, frame);
    words[at + Inode.Pages]--;
    if (words[this.records + frame * Page.Words + Page.DirtiedAt] !== 0) this.leaveDirty(mapping, frame);
    unlockLeaf(task, at + Inode.ListLock);
  }

  /** Takes frozen pages off their lists; those of one mapping that follow each other together. */
  removeFrozen(task: Task, frames: Int32Array, total: number): void {
    const { words, records } = this;
    for (let i = 0; i < total; ) {
      const tag = words[records + frames[i] * Page.Words + Page.Mapping];
      const at = this.at((tag - 1) as Slot);
      const from = i;
      lockLeaf(task, at + Inode.ListLock);
      do this.unlink(at, frames[i++]);
      while (i < total && words[records + frames[i] * Page.Words + Page.Mapping] === tag);
      words[at + Inode.Pages] -= i - from;
      unlockLeaf(task, at + Inode.ListLock);
    }
  }

  /** The caller has locked the page, or of metadata has pinned it and has an open handle. */
  markDirty(task: Task, mapping: Slot, frame: Frame): void {
    const { words } = this;
    const page = this.records + frame * Page.Words;
    const old = Atomics.or(words, page + Page.State, PageFlag.Dirty);
    if ((old & PageFlag.Dirty) !== 0) return;
    if (this.verify) {
      assertTransition(Transition.MakeDirty, old, frame);
      assert(mapping === METADATA || this.locks.holds(task, frame), `page frame ${frame} is dirtied without its lock`);
    }
    const at = this.at(mapping);
    const now = secondsOf(task);
    lockLeaf(task, at + Inode.ListLock);
    if (words[page + Page.DirtiedAt] === 0) {
      this.unlink(at, frame);
      this.linkDirty(at, frame, now);
      words[at + Inode.PagesDirty]++;
      Atomics.add(words, dirtyCount(mapping), 1);
    }
    unlockLeaf(task, at + Inode.ListLock);
  }

  /** The content is no longer wanted on the device, or is there: Dirty goes without a write. Callers as of `markDirty`. */
  clearDirty(task: Task, mapping: Slot, frame: Frame): void {
    const { words } = this;
    const old = Atomics.and(words, this.records + frame * Page.Words + Page.State, ~PageFlag.Dirty);
    if (this.verify) assertTransition(Transition.MakeClean, old, frame);
    const at = this.at(mapping);
    lockLeaf(task, at + Inode.ListLock);
    this.settle(mapping, frame, secondsOf(task));
    unlockLeaf(task, at + Inode.ListLock);
  }

  /** From Dirty to Writeback. The caller has locked the page (of metadata: is the commit), and ends it. */
  startWriteback(task: Task, mapping: Slot, frame: Frame): void {
    const { words } = this;
    words[task.record + Thread.PageLocks]++;
    const page = this.records + frame * Page.Words;
    const old = Atomics.xor(words, page + Page.State, PageFlag.Dirty | PageFlag.Writeback);
    if (!this.verify) return;
    assertTransition(Transition.StartWriteback, old, frame);
    assert(mapping === METADATA || this.locks.holds(task, frame), `writeback of page frame ${frame} without its lock`);
  }

  /** Ends the writeback of frames[from] … frames[to - 1], which are all dirty again if it failed. */
  endWriteback(task: Task, mapping: Slot, frames: Int32Array, from: number, to: number, failed: boolean): void {
    const { words } = this;
    const at = this.at(mapping);
    const waited: Frame[] = [];
    const now = secondsOf(task);
    lockLeaf(task, at + Inode.ListLock);
    for (let i = from; i < to; i++) {
      const frame = frames[i] as Frame;
      const page = this.records + frame * Page.Words;
      if (failed) Atomics.or(words, page + Page.State, PageFlag.Dirty);
      const old = Atomics.and(words, page + Page.State, ~(PageFlag.Writeback | PageFlag.Waiters));
      if (this.verify) assertTransition(Transition.EndWriteback, old, frame);
      if ((old & PageFlag.Waiters) !== 0) waited.push(frame);
      this.settle(mapping, frame, now);
    }
    unlockLeaf(task, at + Inode.ListLock);
    for (let i = 0; i < waited.length; i++) this.locks.wake(task, waited[i]);
    words[task.record + Thread.PageLocks] -= to - from;
  }

  /**
   * The indices of the mapping's pages in [first, end) of that kind, ascending; of dirty ones the `limit` that became dirty
   * first. One walk under the lock, some 10 to 50 ns a page.
   */
  snapshot(task: Task, mapping: Slot, first: number, end: number, kind: PageKind, limit: number): Uint32Array {
    const { words } = this;
    const at = this.at(mapping);
    const counter = at + (kind === PageKind.Cached ? Inode.Pages : Inode.PagesDirty);
    for (;;) {
      const pages = Atomics.load(words, counter);
      const room = Math.min(limit, pages <= SNAPSHOT_SMALL / 2 ? SNAPSHOT_SMALL : pages + SNAPSHOT_SLACK);
      const indices = new Uint32Array(room);
      lockLeaf(task, at + Inode.ListLock);
      const fits = room >= Math.min(limit, words[counter]);
      let found = 0;
      if (fits) {
        const busy = kind === PageKind.Writable ? PageFlag.Locked | PageFlag.Writeback : 0;
        found = this.collect(words[at + Inode.DirtyHead], first, end, busy, indices, found);
        if (kind === PageKind.Cached) found = this.collect(words[at + Inode.CleanHead], first, end, 0, indices, found);
      }
      unlockLeaf(task, at + Inode.ListLock);
      if (fits) return found > 1 ? indices.subarray(0, found).sort() : indices.subarray(0, found);
    }
  }

  private collect(head: number, first: number, end: number, busy: number, indices: Uint32Array, found: number): number {
    const { words, unsigned, records } = this;
    let n = found;
    for (let frame = head; frame !== 0 && n < indices.length; ) {
      const page = records + frame * Page.Words;
      const index = unsigned[page + Page.Index];
      if (index >= first && index < end && (words[page + Page.State] & busy) === 0) indices[n++] = index;
      frame = words[page + Page.ListNext];
    }
    return n;
  }

  private at(mapping: Slot): number {
    return this.inodes + mapping * Inode.Words;
  }

  /** Puts a page that is on the dirty list where its flags say it belongs. */
  private settle(mapping: Slot, frame: Frame, now: number): void {
    const { words } = this;
    const at = this.at(mapping);
    const page = this.records + frame * Page.Words;
    const state = Atomics.load(words, page + Page.State);
    if ((state & PageFlag.Writeback) !== 0) return;
    this.unlink(at, frame);
    if ((state & PageFlag.Dirty) !== 0) {
      this.linkDirty(at, frame, now);
    } else {
      this.leaveDirty(mapping, frame);
      this.linkClean(at, frame);
    }
  }

  private leaveDirty(mapping: Slot, frame: Frame): void {
    const { words } = this;
    words[this.records + frame * Page.Words + Page.DirtiedAt] = 0;
    words[this.at(mapping) + Inode.PagesDirty]--;
    Atomics.sub(words, dirtyCount(mapping), 1);
  }

  private linkClean(at: number, frame: number): void {
    const { words, records } = this;
    const page = records + frame * Page.Words;
    const head = words[at + Inode.CleanHead];
    words[page + Page.ListPrev] = 0;
    words[page + Page.ListNext] = head;
    if (head !== 0) words[records + head * Page.Words + Page.ListPrev] = frame;
    words[at + Inode.CleanHead] = frame;
  }

  private linkDirty(at: number, frame: number, now: number): void {
    const { words, records } = this;
    const page = records + frame * Page.Words;
    const tail = words[at + Inode.DirtyTail];
    words[page + Page.DirtiedAt] = now;
    words[page + Page.ListPrev] = tail;
    words[page + Page.ListNext] = 0;
    if (tail !== 0) words[records + tail * Page.Words + Page.ListNext] = frame;
    else words[at + Inode.DirtyHead] = frame;
    words[at + Inode.DirtyTail] = frame;
  }

  /** From the list that DirtiedAt says it is on. */
  private unlink(at: number, frame: number): void {
    const { words, records } = this;
    const page = records + frame * Page.Words;
    const dirty = words[page + Page.DirtiedAt] !== 0;
    const previous = words[page + Page.ListPrev];
    const next = words[page + Page.ListNext];
    if (previous !== 0) words[records + previous * Page.Words + Page.ListNext] = next;
    else words[at + (dirty ? Inode.DirtyHead : Inode.CleanHead)] = next;
    if (next !== 0) words[records + next * Page.Words + Page.ListPrev] = previous;
    else if (dirty) words[at + Inode.DirtyTail] = previous;
  }
}

/** Whole seconds of the driver's clock, wrapping, never 0. */
export function secondsOf(task: Task): number {
  return Math.floor(task.driver.now() / 1000) | 0 || 1;
}

function dirtyCount(mapping: Slot): number {
  return mapping === METADATA ? Header.MetadataDirty : Header.PagesDirty;
}
