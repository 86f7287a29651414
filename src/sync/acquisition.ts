/**
 * The books of an acquisition: the task's stack of held locks (threads.ts), and lockdep in verify mode. For every type of
 * lock whose rank lies at `Rwsem.Rank`. The task's own thread calls it.
 */
import type { Task } from '../routine/task.js';
import { Rwsem } from './layout.js';
import type { LockMode } from './lockdep.js';
import { popHeld, pushHeld } from './threads.js';

/** Before the lock is touched. `mayInvert`: the caller will not sleep for it, so it may try out of order. */
export function recordAcquisition(task: Task, at: number, mode: LockMode, mayInvert: boolean): void {
  if (task.lockdep !== null) task.lockdep.acquire(task.words[at + Rwsem.Rank], at, mode, mayInvert);
  pushHeld(task, at, mode);
}

/** The lock was not taken after all. */
export function forgetAcquisition(task: Task, at: number): void {
  if (task.lockTimes !== null) task.lockTimes.failed();
  popHeld(task, at);
  if (task.lockdep !== null) task.lockdep.release(task.words[at + Rwsem.Rank], at);
}
