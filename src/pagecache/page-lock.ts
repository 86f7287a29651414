/**
 * The page lock and the end of writeback: how threads wait for a page.
 *
 * Any thread that has the page pinned. A waiter sleeps on one of PAGE_WAIT_QUEUES sequence words, chosen by the frame:
 *
 *  1. It reads the sequence, then sets Waiters with one atomic operation that also tells whether there still is something
 *     to wait for, then sleeps while the sequence is unchanged.
 *  2. Whoever clears Locked or Writeback clears Waiters in the same operation, and if it was set raises the sequence and
 *     wakes everybody on the word. Everybody looks again: the queue is shared by pages, and by both kinds of waiters.
 *  So a waiter whose Waiters bit was cleared before it slept finds the sequence changed, and does not sleep.
 *
 * Thread.PageLocks is raised before a page is locked and lowered after its waiters are woken. Lock order: locking.md; pages
 * of one mapping in ascending index. Pages of the metadata mapping are outside the order: only their fills lock them.
 */
import { assert } from '../assert.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { OWNER_MASK, PAGE_WAIT_QUEUES, Page, Thread } from '../sync/layout.js';
import { LockMode, LockRank } from '../sync/lockdep.js';
import { countLockWait } from '../sync/statistics.js';
import type { Frame } from '../units.js';
import { assertTransition, PageFlag, PIN_ONE, Transition } from './page.js';

const METADATA_TAG = 1;

export class PageLock {
  private readonly words: Int32Array;
  private readonly records: number;
  private readonly queues: number;

  constructor(arena: Arena) {
    this.words = arena.words;
    this.records = arena.layout.pageRecords;
    this.queues = arena.layout.pageWaits;
  }

  /** Locks a page that the caller has pinned, unless somebody holds it. Hot. */
  tryLock(task: Task, frame: Frame): boolean {
    if (task.lockdep !== null) this.tellLockdep(task, frame, true);
    if (this.take(task, frame)) return true;
    if (task.lockdep !== null) this.untellLockdep(task, frame);
    return false;
  }

  *lock(task: Task, frame: Frame): Routine<void> {
    if (task.yieldsAtLocks) yield task.point('lock:wanted', this.records + frame * Page.Words);
    if (task.lockdep !== null) this.tellLockdep(task, frame, false);
    if (this.take(task, frame)) return;
    const queue = this.queueOf(frame);
    const sinceMs = task.driver.now();
    try {
      do {
        const sequence = Atomics.load(this.words, queue);
        if (this.stillSet(frame, PageFlag.Locked)) yield task.wait(queue, sequence);
      } while (!this.take(task, frame));
    } catch (error) {
      if (task.lockdep !== null) this.untellLockdep(task, frame);
      throw error;
    }
    countLockWait(task, LockRank.PageLock, sinceMs);
  }

  unlock(task: Task, frame: Frame): void {
    const { words } = this;
    const at = this.records + frame * Page.Words;
    words[at + Page.Owner] &= ~OWNER_MASK;
    const old = Atomics.and(words, at + Page.State, ~(PageFlag.Locked | PageFlag.Waiters));
    if ((old & PageFlag.Waiters) !== 0) this.wake(task, frame);
    words[task.record + Thread.PageLocks]--;
    if (task.lockTimes !== null) task.lockTimes.pageEnded(frame);
    if (task.lockdep !== null) {
      assertTransition(Transition.Unlock, old, frame);
      this.untellLockdep(task, frame);
    }
  }

  /**
   * `unlock` and the end of one pin in one atomic operation, for hits. The page is attached, as nobody else can detach what
   * this task has locked, and so is not to be freed. Whoever sleeps on a Waiters bit that goes a moment after Locked is
   * woken all the same, and looks again.
   */
  unlockUnpin(task: Task, frame: Frame): void {
    const { words } = this;
    const at = this.records + frame * Page.Words;
    words[at + Page.Owner] &= ~OWNER_MASK;
    this.endHold(task, frame, Atomics.sub(words, at + Page.State, PIN_ONE + PageFlag.Locked));
  }

  /** `unlockUnpin` of a page that is up to date from now on. */
  unlockFilled(task: Task, frame: Frame): void {
    const { words } = this;
    const at = this.records + frame * Page.Words;
    if (task.lockdep !== null) assertTransition(Transition.FillDone, words[at + Page.State], frame);
    words[at + Page.Owner] &= ~OWNER_MASK;
    this.endHold(task, frame, Atomics.sub(words, at + Page.State, PIN_ONE + PageFlag.Locked - PageFlag.Uptodate));
  }

  holds(task: Task, frame: Frame): boolean {
    return (this.words[this.records + frame * Page.Words + Page.Owner] & OWNER_MASK) === task.thread + 1;
  }

  /** Returns once the page was seen unlocked. For callers that hold nothing a page lock's holder may wait for. */
  *waitUnlocked(task: Task, frame: Frame): Routine<void> {
    task.lockdep?.assertMayWait(LockRank.InvalidateLock - 1, 'a locked page');
    if ((Atomics.load(this.words, this.records + frame * Page.Words + Page.State) & PageFlag.Locked) === 0) return;
    const sinceMs = task.driver.now();
    yield* this.waitClear(task, frame, PageFlag.Locked);
    countLockWait(task, LockRank.PageLock, sinceMs);
  }

  *waitWriteback(task: Task, frame: Frame): Routine<void> {
    if ((Atomics.load(this.words, this.records + frame * Page.Words) & PageFlag.Writeback) === 0) return;
    task.lockdep?.assertMayWait(LockRank.PageLock, 'writeback of a page');
    yield* this.waitClear(task, frame, PageFlag.Writeback);
  }

  /** For who has cleared Locked or Writeback together with Waiters, and found that set. */
  wake(task: Task, frame: Frame): void {
    const queue = this.queueOf(frame);
    Atomics.add(this.words, queue, 1);
    task.driver.wake(queue, Number.POSITIVE_INFINITY);
  }

  /** A page that its inserter has made locked. It is nobody else's yet, so the order does not matter. */
  adopt(task: Task, frame: Frame): void {
    if (task.lockTimes !== null) task.lockTimes.pageBegan(frame);
    if (task.lockdep !== null) this.tellLockdep(task, frame, true);
  }

  /** What is left to do once a lock and a pin are given back together; `old` is the state word from before that. */
  private endHold(task: Task, frame: Frame, old: number): void {
    const { words } = this;
    if ((old & PageFlag.Waiters) !== 0) {
      Atomics.and(words, this.records + frame * Page.Words + Page.State, ~PageFlag.Waiters);
      this.wake(task, frame);
    }
    words[task.record + Thread.PageLocks]--;
    if (task.lockTimes !== null) task.lockTimes.pageEnded(frame);
    if (task.lockdep !== null) {
      assertTransition(Transition.Unlock, old, frame);
      this.untellLockdep(task, frame);
    }
  }

  private take(task: Task, frame: Frame): boolean {
    const { words } = this;
    const at = this.records + frame * Page.Words;
    words[task.record + Thread.PageLocks]++;
    const old = Atomics.or(words, at + Page.State, PageFlag.Locked);
    if ((old & PageFlag.Locked) !== 0) {
      words[task.record + Thread.PageLocks]--;
      return false;
    }
    words[at + Page.Owner] = (words[at + Page.Owner] & ~OWNER_MASK) | (task.thread + 1);
    if (task.lockTimes !== null) task.lockTimes.pageBegan(frame);
    if (task.lockdep !== null) assertTransition(Transition.Lock, old, frame);
    return true;
  }

  private *waitClear(task: Task, frame: Frame, flag: PageFlag): Routine<void> {
    const queue = this.queueOf(frame);
    for (;;) {
      const sequence = Atomics.load(this.words, queue);
      if (!this.stillSet(frame, flag)) return;
      yield task.wait(queue, sequence);
    }
  }

  /** Whether there is something to wait for; if so, whoever ends it will wake. */
  private stillSet(frame: Frame, flag: PageFlag): boolean {
    const at = this.records + frame * Page.Words + Page.State;
    for (;;) {
      const old = Atomics.load(this.words, at);
      if ((old & flag) === 0) return false;
      if ((old & PageFlag.Waiters) !== 0) return true;
      if (Atomics.compareExchange(this.words, at, old, old | PageFlag.Waiters) === old) return true;
    }
  }

  private queueOf(frame: Frame): number {
    return this.queues + ((Math.imul(frame, 0x9e37_79b1) >>> 24) % PAGE_WAIT_QUEUES);
  }

  private tellLockdep(task: Task, frame: Frame, isTry: boolean): void {
    const at = this.records + frame * Page.Words;
    assert((this.words[at + Page.State] | 0) >> 12 !== 0, `page frame ${frame} is locked without a pin`);
    if (this.words[at + Page.Mapping] === METADATA_TAG) return;
    task.lockdep!.acquire(LockRank.PageLock, at, LockMode.Exclusive, isTry);
  }

  private untellLockdep(task: Task, frame: Frame): void {
    const at = this.records + frame * Page.Words;
    if (task.lockdep!.holds(LockRank.PageLock, at)) task.lockdep!.release(LockRank.PageLock, at);
  }
}
