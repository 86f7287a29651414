/**
 * The reader-biased rwsem: an rwsem (rwsem.ts) that readers need not touch. After BRAVO (Dice and Kogan, "BRAVO: Biased Locking
 * for Reader-Writer Locks", USENIX ATC 2019), with slots in the thread's own record instead of a hashed table: no two
 * threads ever write one line. Any task; only the task that acquired may release.
 *
 * While the lock is biased (BiasOff is 0) a reader publishes the lock's offset in one of its BiasedReads and is in. Else it
 * takes the rwsem. A writer takes the rwsem, and if the lock is biased revokes that: it sets BiasOff, and waits for every slot
 * that names the lock.
 *
 * Who changes what:
 *   BiasedReads  by their own thread alone
 *   BiasOff      0 → until when   by a writer that holds the rwsem exclusive
 *                → 0              by a reader that holds the rwsem shared, once the time is over; or by a writer that has
 *                                 revoked, found readers inside and will not wait for them
 *
 * 1. A reader stores its slot and then loads BiasOff; a writer stores BiasOff and then loads the slots. All four are sequentially
 *    consistent. So either the writer sees the slot, or the reader sees that the bias is off, takes its slot back and goes to
 *    the rwsem.
 * 2. BiasOff becomes 0 only under the rwsem. So while a writer is inside, the lock is not biased, and no reader is: those of
 *    the rwsem are kept out by it, those of slots were waited for, and who gives up waiting makes the lock biased again before it
 *    lets the rwsem go.
 * 3. No wake-up is lost. A reader clears its slot and then loads BiasOff, and wakes who sleeps on the slot unless that is 0. A
 *    writer sleeps on a slot only while it names the lock, having set BiasOff before: if the reader did not see that, its
 *    clearing came first, and the sleep ends at once.
 * 4. What a reader did is done when its slot is cleared, and what a writer did when it gives the rwsem back; each is read by
 *    who comes next (the writer reads the slot; the reader reads BiasOff, or the rwsem's word, which came after).
 * 5. The bias stays off for INHIBIT times as long as the revocation took, so that writers are slowed down by at most one part in
 *    INHIBIT, and for INHIBIT_MAX at most. Readers pass a waiting writer only while it waits for readers of the rwsem; then it revokes.
 * 6. A held slot is on the stack of held locks from before its store until after its clearing: a death is found. More than
 *    BIASED_READS_MAX locks at once go to the rwsem.
 *
 * Takes: what the rwsem takes.
 */
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { forgetAcquisition, recordAcquisition } from './acquisition.js';
import { BIASED_READS_MAX, Rwsem, Thread, ThreadState } from './layout.js';
import { LockMode } from './lockdep.js';
import {
  acquireExclusive,
  acquireShared,
  releaseExclusive,
  releaseShared,
  tryAcquireExclusive,
  tryAcquireShared,
} from './rwsem.js';
import { popHeld } from './threads.js';

const INHIBIT = 9;
/** BiasOff counts in parts of a millisecond, wrapping. */
const TICKS_PER_MS = 1024;
const INHIBIT_MAX = 100 * TICKS_PER_MS;
/** One in so many readers of an unbiased lock looks at the clock. A power of two. */
const TURNS_PER_LOOK = 16;

export function tryAcquireBiasedShared(task: Task, at: number, mayInvert = false): boolean {
  if (task.words[at + Rwsem.BiasOff] === 0 && publish(task, at, mayInvert)) return true;
  if (!tryAcquireShared(task, at, mayInvert)) return false;
  restoreBias(task, at);
  return true;
}

export function* acquireBiasedShared(task: Task, at: number): Routine<void> {
  if (task.yieldsAtLocks) yield task.point('lock:wanted', at);
  if (tryAcquireBiasedShared(task, at)) return;
  yield* acquireShared(task, at);
  restoreBias(task, at);
}

export function releaseBiasedShared(task: Task, at: number): void {
  const { words } = task;
  const slot = slotOf(task, at);
  if (slot === 0) {
    releaseShared(task, at);
    return;
  }
  if (task.lockdep !== null) task.lockdep.release(words[at + Rwsem.Rank], at);
  withdraw(task, slot, at);
  popHeld(task, at);
}

/** Fails where readers are inside, and leaves the lock biased to them. */
export function tryAcquireBiasedExclusive(task: Task, at: number, mayInvert = false): boolean {
  const { words } = task;
  if (!tryAcquireExclusive(task, at, mayInvert)) return false;
  if (words[at + Rwsem.BiasOff] !== 0) return true;
  const since = ticks(task);
  Atomics.store(words, at + Rwsem.BiasOff, since | 1);
  if (findReader(task, at, 0) === 0) {
    inhibit(task, at, since);
    return true;
  }
  Atomics.store(words, at + Rwsem.BiasOff, 0);
  releaseExclusive(task, at);
  return false;
}

export function* acquireBiasedExclusive(task: Task, at: number): Routine<void> {
  yield* acquireExclusive(task, at);
  const { words } = task;
  if (words[at + Rwsem.BiasOff] !== 0) return;
  const since = ticks(task);
  Atomics.store(words, at + Rwsem.BiasOff, since | 1);
  try {
    for (let slot = findReader(task, at, 0); slot !== 0; slot = findReader(task, at, slot)) {
      while (Atomics.load(words, slot) === at) yield task.wait(slot, at);
    }
  } catch (error) {
    Atomics.store(words, at + Rwsem.BiasOff, 0);
    releaseExclusive(task, at);
    throw error;
  }
  inhibit(task, at, since);
}

export function releaseBiasedExclusive(task: Task, at: number): void {
  releaseExclusive(task, at);
}

/** Whether readers may be inside without having touched the lock. */
export function isBiased(task: Task, at: number): boolean {
  return Atomics.load(task.words, at + Rwsem.BiasOff) === 0;
}

/** The biased way in; false when there is no slot left, or the bias went meanwhile. */
function publish(task: Task, at: number, mayInvert: boolean): boolean {
  const slot = slotOf(task, 0);
  if (slot === 0) return false;
  recordAcquisition(task, at, LockMode.Shared, mayInvert);
  Atomics.store(task.words, slot, at);
  if (Atomics.load(task.words, at + Rwsem.BiasOff) === 0) return true;
  withdraw(task, slot, at);
  forgetAcquisition(task, at);
  return false;
}

function withdraw(task: Task, slot: number, at: number): void {
  Atomics.store(task.words, slot, 0);
  if (Atomics.load(task.words, at + Rwsem.BiasOff) !== 0) task.driver.wake(slot, 1);
}

/** The task's slot that holds `content`: a lock, or 0 for a free one. 0 if there is none. */
function slotOf(task: Task, content: number): number {
  const first = task.record + Thread.BiasedReads;
  for (let slot = first; slot < first + BIASED_READS_MAX; slot++) if (task.words[slot] === content) return slot;
  return 0;
}

/** By a reader inside the rwsem: nobody is revoking. */
function restoreBias(task: Task, at: number): void {
  const { words, record } = task;
  const until = words[at + Rwsem.BiasOff];
  if (until === 0) return;
  words[record + Thread.BiasTurn]++;
  if ((words[record + Thread.BiasTurn] & (TURNS_PER_LOOK - 1)) !== 0) return;
  const left = (until - ticks(task)) | 0;
  // A time further ahead than any inhibition is one long past, from before the clock wrapped.
  if (left <= 0 || left > 2 * INHIBIT_MAX) Atomics.compareExchange(words, at + Rwsem.BiasOff, until, 0);
}

/** The first slot behind `after` (0: from the start) that names the lock, or 0. By who holds the rwsem exclusive. */
function findReader(task: Task, at: number, after: number): number {
  const { words } = task;
  const { threadRecords, threads } = task.arena.layout;
  for (let thread = 0; thread < threads; thread++) {
    const record = threadRecords + thread * Thread.Words;
    const first = record + Thread.BiasedReads;
    if (first + BIASED_READS_MAX <= after) continue;
    // Who attaches from now on finds the bias off.
    if (Atomics.load(words, record + Thread.State) === ThreadState.Free) continue;
    for (let slot = first; slot < first + BIASED_READS_MAX; slot++) {
      if (slot > after && Atomics.load(words, slot) === at) return slot;
    }
  }
  return 0;
}

/** By the writer, who has revoked the bias since then. */
function inhibit(task: Task, at: number, since: number): void {
  const now = ticks(task);
  const cost = Math.max(1, (now - since) | 0);
  Atomics.store(task.words, at + Rwsem.BiasOff, (now + Math.min(INHIBIT * cost, INHIBIT_MAX)) | 1);
}

function ticks(task: Task): number {
  return Math.floor(task.driver.now() * TICKS_PER_MS) | 0;
}
