/**
 * The range that faults wait on, as tmpfs has it (mm/shmem.c: struct shmem_falloc, published through inode->i_private): who
 * punches a hole says which pages it is about, for as long as it lasts; who faults on one of them waits for the end of it.
 *
 * Any task. It is no lock: nobody is counted in or out, so a publisher does not wait for who passed before. That is how it
 * keeps a storm of faults from starving a punch, and why a fill that is on its way when the range is published goes on.
 *
 *  1. Publishers exclude each other by another lock (i_rwsem exclusive), so there is at most one range.
 *  2. `Sequence` is odd while a range is published. It is raised after First and End are written, and again at the end; a
 *     waiter sleeps on it, and decides by a range that it read between two equal values.
 *  3. Lockdep knows the publisher as an exclusive holder. Who waits holds nothing afterwards, but waits in the lock order.
 *
 * Words: those of an rwsem, which lie where this one would; Rank is in the same place.
 */
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { PublishedRange } from './layout.js';
import { type Lockdep, LockMode } from './lockdep.js';
import { countLockWait } from './statistics.js';
import { checkFence, popHeld, pushHeld } from './threads.js';

/** Publishes the pages [first, end). The caller keeps other publishers away. */
export function publishRange(task: Task, at: number, first: number, end: number): void {
  const { words } = task;
  if (task.lockdep !== null) task.lockdep.acquire(words[at + PublishedRange.Rank], at, LockMode.Exclusive, false);
  pushHeld(task, at, LockMode.Exclusive);
  Atomics.store(words, at + PublishedRange.First, first | 0);
  Atomics.store(words, at + PublishedRange.End, end | 0);
  Atomics.add(words, at + PublishedRange.Sequence, 1);
}

export function withdrawRange(task: Task, at: number): void {
  const { words } = task;
  if (task.lockdep !== null) task.lockdep.release(words[at + PublishedRange.Rank], at);
  Atomics.add(words, at + PublishedRange.Sequence, 1);
  task.driver.wake(at + PublishedRange.Sequence, Number.POSITIVE_INFINITY);
  popHeld(task, at);
}

/** The sequence of a published range that holds one of the pages [first, end); 0 when there is none. */
export function overlappingRange(task: Task, at: number, first: number, end: number): number {
  const { words } = task;
  for (;;) {
    const sequence = Atomics.load(words, at + PublishedRange.Sequence);
    if ((sequence & 1) === 0) return 0;
    const from = Atomics.load(words, at + PublishedRange.First) >>> 0;
    const to = Atomics.load(words, at + PublishedRange.End) >>> 0;
    if (Atomics.load(words, at + PublishedRange.Sequence) === sequence) return first < to && from < end ? sequence : 0;
  }
}

/** Returns once no published range was seen that holds one of the pages. */
export function* waitForRange(task: Task, at: number, first: number, end: number): Routine<void> {
  if (task.yieldsAtLocks) yield task.point('lock:wanted');
  if (task.lockdep !== null) checkOrder(task, task.lockdep, at);
  let sequence = overlappingRange(task, at, first, end);
  if (sequence === 0) return;
  const since = task.driver.now();
  for (; sequence !== 0; sequence = overlappingRange(task, at, first, end)) {
    checkFence(task.arena);
    yield task.wait(at + PublishedRange.Sequence, sequence);
  }
  countLockWait(task, task.words[at + PublishedRange.Rank], since);
}

function checkOrder(task: Task, lockdep: Lockdep, at: number): void {
  lockdep.acquire(task.words[at + PublishedRange.Rank], at, LockMode.Shared, false);
  lockdep.release(task.words[at + PublishedRange.Rank], at);
}
