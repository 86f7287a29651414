/**
 * The queue of tasks that wait for one lock: a list of thread records, linked by Thread.NodeNext. A thread waits for one
 * lock at a time, so its record has one node. For locks whose queue lies at `Rwsem.WaitHead`, `WaitTail` and `QueueLock`.
 *
 *  1. All of it is read and changed holding QueueLock, but for NodeGranted, on which the waiter sleeps: it alone reads that
 *     without the lock, and from a grant on the node is the waiter's again.
 *  2. Who grants has given the waiter the lock before (the lock's own word says so). It is woken after QueueLock is
 *     dropped (`wakeGranted`), so that it does not wake only to wait for that.
 */
import type { Task } from '../routine/task.js';
import { Rwsem, Thread } from './layout.js';
import type { LockMode } from './lockdep.js';

/** Thread.NodeGranted. */
export const enum Node {
  Waiting,
  /** The lock is the waiter's. */
  Granted,
  /** The lock was free: the waiter, the head, tries for itself (rwsem.ts). */
  Kicked,
}

export function append(task: Task, at: number, mode: LockMode, sinceMs: number): void {
  const { words, record } = task;
  words[record + Thread.NodeNext] = 0;
  words[record + Thread.NodeMode] = mode;
  words[record + Thread.NodeLock] = at;
  words[record + Thread.NodeSince] = Math.floor(sinceMs) | 0;
  Atomics.store(words, record + Thread.NodeGranted, Node.Waiting);
  const tail = words[at + Rwsem.WaitTail];
  if (tail === 0) words[at + Rwsem.WaitHead] = task.thread + 1;
  else words[recordOf(task, tail - 1) + Thread.NodeNext] = task.thread + 1;
  words[at + Rwsem.WaitTail] = task.thread + 1;
}

/** Takes the node between `before` (0: it is the head) and `after` (0: it is the tail) out of the queue. */
export function unlink(task: Task, at: number, before: number, after: number): void {
  const { words } = task;
  if (before === 0) words[at + Rwsem.WaitHead] = after;
  else words[recordOf(task, before - 1) + Thread.NodeNext] = after;
  if (after === 0) words[at + Rwsem.WaitTail] = before;
}

/** The unlinked node's task has the lock; `wakeGranted` is still to come. */
export function grant(task: Task, thread: number): void {
  const granted = recordOf(task, thread) + Thread.NodeGranted;
  Atomics.store(task.words, granted, Node.Granted);
  task.wakes.push(granted);
}

/** Wakes whom this task has granted a lock, or kicked. With no leaf mutex held. */
export function wakeGranted(task: Task): void {
  const { wakes } = task;
  for (let i = 0; i < wakes.length; i++) task.driver.wake(wakes[i], 1);
  wakes.length = 0;
}

export function hasOneWaiter(task: Task, at: number): boolean {
  return task.words[at + Rwsem.WaitHead] === task.words[at + Rwsem.WaitTail];
}

export function countWaiters(task: Task, at: number): number {
  let waiters = 0;
  for (let node = task.words[at + Rwsem.WaitHead]; node !== 0; waiters++) {
    node = task.words[recordOf(task, node - 1) + Thread.NodeNext];
  }
  return waiters;
}

/** Word offset of a thread's record. */
export function recordOf(task: Task, thread: number): number {
  return task.arena.layout.threadRecords + thread * Thread.Words;
}
