/**
 * The two-state lock: many fillers or many invalidators, never both. Any task; the acquiring functions are routines, with
 * try functions as their fast paths. Only the task that acquired may release.
 *
 * State is one signed counter above one bit: fillers inside count up by ONE, invalidators down, and Waiters is set exactly
 * while the queue (wait-queue.ts) is not empty. Who changes what, each by one atomic operation on the word:
 *   count    away from 0, or further   by the arriving task, while Waiters is clear and the other side is not inside;
 *                                      or by who hands over, holding QueueLock, on behalf of queued tasks
 *            back                      by the holder
 *   Waiters  set and cleared holding QueueLock
 *
 * 1. Nobody enters while anybody waits. Since only the other side's presence makes a task wait, a side that is inside goes
 *    on for at most as long as its present members take. When the last of them leaves it hands over, to all queued
 *    tasks of the side that the head of the queue is on. So a waiter waits for who is inside, and for at most one turn of
 *    the other side after them: neither side starves.
 * 2. No wake-up is lost. A task queues, holding QueueLock, by setting Waiters in a word that shows the other side inside, or
 *    finding it set. In the first case the last one out comes later and sees it. In the second, either somebody is still
 *    inside, or the last one out has seen it and holds or awaits QueueLock.
 * 3. With the count at 0 and Waiters set nobody but who hands over changes the word: arrivals are refused, nobody is inside.
 * 4. What was done inside happens before what is done by who enters later: all changes of the word are sequentially
 *    consistent, and who enters has read, from the word or (granted) from its node, what the last one out wrote.
 * 5. Who the holders are, and on which side, is in their stacks of held locks (threads.ts), from before the queueing until after the
 *    hand-over: fillers as shared, invalidators as exclusive. A holder's death is found there.
 *
 * Takes: QueueLock (leaf).
 */
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { forgetAcquisition, recordAcquisition } from './acquisition.js';
import { Rwsem, StoreState, Thread, TwoState } from './layout.js';
import { lockLeaf, unlockLeaf } from './leaf.js';
import { LockMode } from './lockdep.js';
import { countLockWait } from './statistics.js';
import { checkFence, holdMode, popHeld } from './threads.js';
import { append, grant, Node, recordOf, unlink, wakeGranted } from './wait-queue.js';

const WAITERS = 1;
/** One filler; an invalidator is its negative. */
const ONE = 2;

export function tryAcquireFilling(task: Task, at: number, mayInvert = false): boolean {
  return tryEnter(task, at, LockMode.Shared, mayInvert);
}

export function tryAcquireInvalidating(task: Task, at: number, mayInvert = false): boolean {
  return tryEnter(task, at, LockMode.Exclusive, mayInvert);
}

export function* acquireFilling(task: Task, at: number): Routine<void> {
  if (task.yieldsAtLocks) yield task.point('lock:wanted', at);
  if (!tryEnter(task, at, LockMode.Shared, false)) yield* enterSlowly(task, at, LockMode.Shared);
}

export function* acquireInvalidating(task: Task, at: number): Routine<void> {
  if (task.yieldsAtLocks) yield task.point('lock:wanted', at);
  if (!tryEnter(task, at, LockMode.Exclusive, false)) yield* enterSlowly(task, at, LockMode.Exclusive);
}

export function releaseFilling(task: Task, at: number): void {
  leave(task, at, -ONE);
}

export function releaseInvalidating(task: Task, at: number): void {
  leave(task, at, ONE);
}

/** Whether the task itself is inside as an invalidator. */
export function isInvalidating(task: Task, at: number): boolean {
  return holdMode(task, at) === LockMode.Exclusive && task.words[at + TwoState.State] < 0;
}

function stepOf(mode: LockMode): number {
  return mode === LockMode.Shared ? ONE : -ONE;
}

/** Whether a task that counts by `step` may enter where the word is `state`. */
function admits(state: number, step: number): boolean {
  return (state & WAITERS) === 0 && (step > 0 ? state >= 0 : state <= 0);
}

function tryEnter(task: Task, at: number, mode: LockMode, mayInvert: boolean): boolean {
  const step = stepOf(mode);
  recordAcquisition(task, at, mode, mayInvert);
  let state = 0;
  do {
    const seen = Atomics.compareExchange(task.words, at + TwoState.State, state, state + step);
    if (seen === state) return true;
    state = seen;
  } while (admits(state, step));
  forgetAcquisition(task, at);
  return false;
}

/** After a fence a waiter leaves its node in the queue: nobody is granted anything any more. */
function* enterSlowly(task: Task, at: number, mode: LockMode): Routine<void> {
  const { words } = task;
  const granted = task.record + Thread.NodeGranted;
  const since = task.driver.now();
  recordAcquisition(task, at, mode, false);
  try {
    checkFence(task.arena);
    if (enqueue(task, at, mode, since)) {
      while (Atomics.load(words, granted) !== Node.Granted) yield task.wait(granted, Node.Waiting);
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
  const step = stepOf(mode);
  lockLeaf(task, at + Rwsem.QueueLock);
  for (;;) {
    const state = Atomics.load(words, at + TwoState.State);
    const enters = admits(state, step);
    const next = enters ? state + step : state | WAITERS;
    if (next !== state && Atomics.compareExchange(words, at + TwoState.State, state, next) !== state) continue;
    if (!enters) append(task, at, mode, since);
    unlockLeaf(task, at + Rwsem.QueueLock);
    return !enters;
  }
}

function leave(task: Task, at: number, step: number): void {
  const { words } = task;
  if (task.lockdep !== null) task.lockdep.release(words[at + Rwsem.Rank], at);
  const state = Atomics.add(words, at + TwoState.State, step) + step;
  if (state === WAITERS) handOver(task, at);
  popHeld(task, at);
}

/** By the last one out: lets in all that wait on the side of the queue's head. */
function handOver(task: Task, at: number): void {
  // Waiters of a fenced store are woken by the fence, and the queue lock may belong to the dead thread.
  if (task.arena.state === StoreState.Fenced) return;
  const { words } = task;
  lockLeaf(task, at + Rwsem.QueueLock);
  const head = words[at + Rwsem.WaitHead];
  const side: LockMode = words[recordOf(task, head - 1) + Thread.NodeMode];
  let entering = 0;
  let staying = 0;
  for (let node = head; node !== 0; node = words[recordOf(task, node - 1) + Thread.NodeNext]) {
    if (words[recordOf(task, node - 1) + Thread.NodeMode] === side) entering++;
    else staying++;
  }
  words[at + TwoState.Turns]++;
  // The word first: a granted task is inside before it can run.
  Atomics.store(words, at + TwoState.State, entering * stepOf(side) + (staying > 0 ? WAITERS : 0));
  let before = 0;
  for (let node = head; node !== 0; ) {
    const record = recordOf(task, node - 1);
    const after = words[record + Thread.NodeNext];
    if (words[record + Thread.NodeMode] === side) {
      unlink(task, at, before, after);
      grant(task, node - 1);
    } else {
      before = node;
    }
    node = after;
  }
  unlockLeaf(task, at + Rwsem.QueueLock);
  wakeGranted(task);
}
