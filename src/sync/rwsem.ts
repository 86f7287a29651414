/**
 * The reader-writer semaphore of all long-held locks, after Linux's rw_semaphore. Any task; the acquiring functions are
 * routines, with try functions as their fast paths. Only the task that acquired may release.
 *
 * State word (bits: rwsem-policy.ts). Who changes what, each by one atomic operation on the word:
 *   Writer, readers   +  by the arriving task, if the policy's mask is clear of the word (try, steal); or by whoever
 *                        hands over, holding QueueLock, on behalf of queued waiters (a *grant*)
 *                     -  by the holder
 *   Waiters           set and cleared holding QueueLock; set exactly while the queue is not empty
 *   Handoff, Kicked   set and cleared holding QueueLock; speak of the queue's head
 *
 * Waiting. A task that cannot enter takes QueueLock and, in one compare-exchange loop, either enters after all or sets
 * Waiters while the word still says that it may not enter. It appends its node (its thread record's Node words), drops
 * QueueLock, and sleeps on its own NodeGranted while that is Waiting.
 * Releasing. One atomic operation takes the holder out and tells it the flags. If it was the last one and Waiters was set
 * (and not Kicked), it hands over: takes QueueLock and grants, or kicks a head that shall try for itself.
 *
 * 1. No wake-up is lost. A waiter queued while the lock was held (the compare-exchange proves it), so the last holder's
 *    operation comes later and sees Waiters. If the lock was free, a hand-over is under way: its releaser holds or awaits
 *    QueueLock; or Kicked is set, and the head will try. Kicked is cleared, by the head, only in a compare-exchange
 *    on a word that says "held": that holder's release sees Waiters without Kicked.
 * 2. A grant changes the word first, then NodeGranted, then wakes. So a granted task owns the lock before it can run.
 * 3. Policies. kernel: a free lock may be taken by any running writer (no handoff), so a head writer is kicked, not
 *    granted; once the head has waited HANDOFF_MS, Handoff stops that and the lock is granted to it. A head reader takes
 *    along all queued readers. Unlike Linux since 5.11, no reader takes a free lock ahead of the queue. fifo: the head,
 *    and the readers directly behind a head reader, are granted; nobody overtakes. reader-preferring: all queued
 *    readers, else the head writer.
 * 4. The stack of held locks (threads.ts) has the lock from before the queueing until after the hand-over.
 * 5. Owner and Generation are written by the writer, or by who grants to it, while Writer is set.
 *
 * Takes: QueueLock (leaf).
 */
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { forgetAcquisition, recordAcquisition } from './acquisition.js';
import type { Arena } from './arena.js';
import { Rwsem, StoreState, Thread } from './layout.js';
import { lockLeaf, unlockLeaf } from './leaf.js';
import { LockMode, type LockRank } from './lockdep.js';
import { RWSEM_POLICIES, RwsemPolicy, RwsemState } from './rwsem-policy.js';
import { countLockWait } from './statistics.js';
import { checkFence, popHeld } from './threads.js';
import { append, countWaiters, grant, hasOneWaiter, Node, recordOf, unlink, wakeGranted } from './wait-queue.js';

export { RWSEM_POLICIES };

/** How long the head of the queue lets others go first. */
export const HANDOFF_MS = 4;
/** Readers granted at once. */
const BATCH_MAX = 256;

export function initRwsem(arena: Arena, at: number, rank: LockRank): void {
  arena.words.fill(0, at, at + Rwsem.Words);
  arena.words[at + Rwsem.Rank] = rank;
}

/**
 * The fast path of `acquireShared`, checked by lockdep like it. `mayInvert`: the caller will not sleep for the lock, so
 * it may try out of order.
 */
export function tryAcquireShared(task: Task, at: number, mayInvert = false): boolean {
  const { words } = task;
  recordAcquisition(task, at, LockMode.Shared, mayInvert);
  let state: number = RwsemState.Free;
  do {
    const seen = Atomics.compareExchange(words, at + Rwsem.State, state, state + RwsemState.ReaderOne);
    if (seen === state) return true;
    state = seen;
  } while ((state & task.sharedBlocked) === 0);
  forgetAcquisition(task, at);
  return false;
}

/** The fast path of `acquireExclusive`; see tryAcquireShared. Under the kernel policy it takes a free lock ahead of the queue. */
export function tryAcquireExclusive(task: Task, at: number, mayInvert = false): boolean {
  const { words } = task;
  recordAcquisition(task, at, LockMode.Exclusive, mayInvert);
  let state: number = RwsemState.Free;
  do {
    const seen = Atomics.compareExchange(words, at + Rwsem.State, state, state | RwsemState.Writer);
    if (seen === state) {
      own(words, at, task.thread);
      return true;
    }
    state = seen;
  } while ((state & task.exclusiveBlocked) === 0);
  forgetAcquisition(task, at);
  return false;
}

export function* acquireShared(task: Task, at: number): Routine<void> {
  if (task.yieldsAtLocks) yield task.point('lock:wanted', at);
  if (tryAcquireShared(task, at)) return;
  yield* acquireSlowly(task, at, LockMode.Shared);
}

export function* acquireExclusive(task: Task, at: number): Routine<void> {
  if (task.yieldsAtLocks) yield task.point('lock:wanted', at);
  for (let spins = task.rwsemPolicy === RwsemPolicy.Kernel ? task.spinLimit : 0; ; spins--) {
    const state = Atomics.load(task.words, at + Rwsem.State);
    if ((state & task.exclusiveBlocked) === 0 && tryAcquireExclusive(task, at)) return;
    if (spins <= 0 || (state & RwsemState.Handoff) !== 0) break;
  }
  yield* acquireSlowly(task, at, LockMode.Exclusive);
}

export function releaseShared(task: Task, at: number): void {
  const { words } = task;
  if (task.lockdep !== null) task.lockdep.release(words[at + Rwsem.Rank], at);
  const old = Atomics.sub(words, at + Rwsem.State, RwsemState.ReaderOne);
  if ((old & RwsemState.Waiters) !== 0 && (old & RwsemState.Readers) === RwsemState.ReaderOne) {
    if ((old & RwsemState.Kicked) === 0) handOver(task, at);
  }
  popHeld(task, at);
}

export function releaseExclusive(task: Task, at: number): void {
  const { words } = task;
  if (task.lockdep !== null) task.lockdep.release(words[at + Rwsem.Rank], at);
  words[at + Rwsem.Owner] = 0;
  const old = Atomics.sub(words, at + Rwsem.State, RwsemState.Writer);
  if ((old & (RwsemState.Waiters | RwsemState.Kicked)) === RwsemState.Waiters) handOver(task, at);
  popHeld(task, at);
}

export function holdsExclusive(task: Task, at: number): boolean {
  return task.words[at + Rwsem.Owner] === task.thread + 1;
}

/** Whether readers hold it, whoever they are. */
export function isHeldShared(arena: Arena, at: number): boolean {
  return (Atomics.load(arena.words, at + Rwsem.State) & RwsemState.Readers) !== 0;
}

export function isHeldExclusive(arena: Arena, at: number): boolean {
  return (Atomics.load(arena.words, at + Rwsem.State) & RwsemState.Writer) !== 0;
}

function own(words: Int32Array, at: number, thread: number): void {
  words[at + Rwsem.Owner] = thread + 1;
  words[at + Rwsem.Generation]++;
}

/** After a fence a waiter leaves its node in the queue: nobody is granted anything any more. */
function* acquireSlowly(task: Task, at: number, mode: LockMode): Routine<void> {
  const { words } = task;
  const granted = task.record + Thread.NodeGranted;
  const since = task.driver.now();
  recordAcquisition(task, at, mode, false);
  try {
    checkFence(task.arena);
    let waiting = enqueue(task, at, mode, since);
    while (waiting) {
      const node = Atomics.load(words, granted);
      if (node === Node.Granted) break;
      if (node === Node.Kicked) waiting = !takeAsHead(task, at);
      else yield task.wait(granted, Node.Waiting);
    }
  } catch (error) {
    forgetAcquisition(task, at);
    throw error;
  }
  countLockWait(task, words[at + Rwsem.Rank], since);
}

/** Queues the task and answers true, or enters after all and answers false. */
function enqueue(task: Task, at: number, mode: LockMode, since: number): boolean {
  const { words } = task;
  const blocked = mode === LockMode.Shared ? task.sharedBlocked : task.exclusiveBlocked;
  const step = mode === LockMode.Shared ? RwsemState.ReaderOne : RwsemState.Writer;
  lockLeaf(task, at + Rwsem.QueueLock);
  for (;;) {
    const state = Atomics.load(words, at + Rwsem.State);
    const enters = (state & blocked) === 0;
    const next = enters ? state + step : state | RwsemState.Waiters;
    if (next !== state && Atomics.compareExchange(words, at + Rwsem.State, state, next) !== state) continue;
    if (enters) {
      unlockLeaf(task, at + Rwsem.QueueLock);
      if (mode === LockMode.Exclusive) own(words, at, task.thread);
      return false;
    }
    break;
  }
  append(task, at, mode, since);
  unlockLeaf(task, at + Rwsem.QueueLock);
  return true;
}

/** The kicked head writer takes the lock if it is still free; else it waits on, and asks for the handoff when it is late. */
function takeAsHead(task: Task, at: number): boolean {
  const { words, record } = task;
  // A short look before a sleep that would cost more: who took the lock is running, and will be out soon.
  for (let spins = task.spinLimit; spins > 0; spins--) {
    if ((Atomics.load(words, at + Rwsem.State) & RwsemState.Held) === 0) break;
  }
  lockLeaf(task, at + Rwsem.QueueLock);
  Atomics.store(words, record + Thread.NodeGranted, Node.Waiting);
  const late = isLate(task, task.thread);
  let state: number;
  let next: number;
  do {
    state = Atomics.load(words, at + Rwsem.State);
    next = state & ~RwsemState.Kicked;
    if ((state & RwsemState.Held) === 0) {
      next = (next & ~RwsemState.Handoff) | RwsemState.Writer;
      if (hasOneWaiter(task, at)) next &= ~RwsemState.Waiters;
    } else if (late) {
      next |= RwsemState.Handoff;
    }
  } while (Atomics.compareExchange(words, at + Rwsem.State, state, next) !== state);
  const taken = (state & RwsemState.Held) === 0;
  if (taken) {
    own(words, at, task.thread);
    unlink(task, at, 0, words[record + Thread.NodeNext]);
  }
  unlockLeaf(task, at + Rwsem.QueueLock);
  return taken;
}

/** By who released last: gives the lock to waiters as the policy says. */
function handOver(task: Task, at: number): void {
  // Waiters of a fenced store are woken by the fence, and the queue lock may belong to the dead thread.
  if (task.arena.state === StoreState.Fenced) return;
  lockLeaf(task, at + Rwsem.QueueLock);
  while (!tryHandOver(task, at));
  unlockLeaf(task, at + Rwsem.QueueLock);
  wakeGranted(task);
}

/** Answers false when the word changed meanwhile. Nothing to do is success: whoever holds the lock now hands over later. */
function tryHandOver(task: Task, at: number): boolean {
  const { words } = task;
  const head = words[at + Rwsem.WaitHead];
  if (head === 0) return true;
  const state = Atomics.load(words, at + Rwsem.State);
  const headMode: LockMode = words[recordOf(task, head - 1) + Thread.NodeMode];
  if ((state & RwsemState.Writer) !== 0) {
    // Taken ahead of the queue. A head writer asks for the handoff itself, when it is kicked.
    if (headMode === LockMode.Exclusive || !isLate(task, head - 1)) return true;
    return Atomics.compareExchange(words, at + Rwsem.State, state, state | RwsemState.Handoff) === state;
  }
  if (headMode === LockMode.Shared || task.rwsemPolicy === RwsemPolicy.ReaderPreferring) {
    const readers = countGrantable(task, at);
    if (readers > 0) return grantReaders(task, at, state, readers);
  }
  if ((state & RwsemState.Readers) !== 0) return true;
  if (task.rwsemPolicy === RwsemPolicy.Kernel && (state & RwsemState.Handoff) === 0) return kickHead(task, at, state);
  return grantHead(task, at, state);
}

/** Readers to let in together: the leading ones (fifo), or all that are queued. */
function countGrantable(task: Task, at: number): number {
  const { words } = task;
  let readers = 0;
  for (let node = words[at + Rwsem.WaitHead]; node !== 0; node = words[recordOf(task, node - 1) + Thread.NodeNext]) {
    const mode: LockMode = words[recordOf(task, node - 1) + Thread.NodeMode];
    if (mode === LockMode.Shared) readers++;
    else if (task.rwsemPolicy === RwsemPolicy.Fifo) break;
    if (readers === BATCH_MAX) break;
  }
  return readers;
}

function grantReaders(task: Task, at: number, state: number, readers: number): boolean {
  const { words } = task;
  let next = (state + readers * RwsemState.ReaderOne) & ~RwsemState.Handoff;
  if (readers === countWaiters(task, at)) next &= ~RwsemState.Waiters;
  if (Atomics.compareExchange(words, at + Rwsem.State, state, next) !== state) return false;
  let before = 0;
  let node = words[at + Rwsem.WaitHead];
  for (let left = readers; left > 0; ) {
    const record = recordOf(task, node - 1);
    const after = words[record + Thread.NodeNext];
    const mode: LockMode = words[record + Thread.NodeMode];
    if (mode === LockMode.Shared) {
      unlink(task, at, before, after);
      grant(task, node - 1);
      left--;
    } else {
      before = node;
    }
    node = after;
  }
  return true;
}

/** The lock is free, and nobody else can take it (fifo, handoff) or has taken it (the exchange tells). */
function grantHead(task: Task, at: number, state: number): boolean {
  const { words } = task;
  const head = words[at + Rwsem.WaitHead];
  let next = (state & ~RwsemState.Handoff) | RwsemState.Writer;
  if (hasOneWaiter(task, at)) next &= ~RwsemState.Waiters;
  if (Atomics.compareExchange(words, at + Rwsem.State, state, next) !== state) return false;
  own(words, at, head - 1);
  const record = recordOf(task, head - 1);
  unlink(task, at, 0, words[record + Thread.NodeNext]);
  grant(task, head - 1);
  return true;
}

function kickHead(task: Task, at: number, state: number): boolean {
  const { words } = task;
  if ((state & RwsemState.Kicked) !== 0) return true;
  if (Atomics.compareExchange(words, at + Rwsem.State, state, state | RwsemState.Kicked) !== state) return false;
  const granted = recordOf(task, words[at + Rwsem.WaitHead] - 1) + Thread.NodeGranted;
  Atomics.store(words, granted, Node.Kicked);
  task.wakes.push(granted);
  return true;
}

function isLate(task: Task, waiter: number): boolean {
  const since = task.words[recordOf(task, waiter) + Thread.NodeSince];
  return ((Math.floor(task.driver.now()) - since) | 0) >= HANDOFF_MS;
}
