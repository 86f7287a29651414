/**
 * A mutex that may sleep: metadata structures of which there are few. Any task; `lockMutex` is a routine.
 *
 * 1. State is 0 free, 1 held, 2 held and perhaps waited for. 0 → 1: by compare-exchange, by the taker. Any → 2: by
 *    exchange, by a waiter, which owns the mutex if it found 0. Any → 0: by exchange, by the holder, which wakes one
 *    sleeper if it found 2.
 * 2. No wake-up is lost: a waiter sleeps only while the state is 2, and the exchange that ends the 2 wakes. Who was woken
 *    takes the mutex as 2, so that the next sleeper is woken too.
 * 3. It is not fair: who runs goes first. Nothing waits for long, since it is never held across a wait for a user.
 */
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from './arena.js';
import { Mutex } from './layout.js';
import { LockMode, type LockRank } from './lockdep.js';
import { countLockWait } from './statistics.js';
import { checkFence, popHeld, pushHeld } from './threads.js';

const enum MutexState {
  Free,
  Held,
  Waited,
}

export function initMutex(arena: Arena, at: number, rank: LockRank): void {
  arena.words[at + Mutex.State] = MutexState.Free;
  arena.words[at + Mutex.Owner] = 0;
  arena.words[at + Mutex.Rank] = rank;
}

/** The fast path of `lockMutex`, checked by lockdep like it. `mayInvert`: the caller will not sleep for the mutex, so it may try out of order. */
export function tryLockMutex(task: Task, at: number, mayInvert = false): boolean {
  const { words } = task;
  if (task.lockdep !== null) task.lockdep.acquire(words[at + Mutex.Rank], at, LockMode.Mutex, mayInvert);
  pushHeld(task, at, LockMode.Mutex);
  if (Atomics.compareExchange(words, at + Mutex.State, MutexState.Free, MutexState.Held) === MutexState.Free) {
    words[at + Mutex.Owner] = task.thread + 1;
    return true;
  }
  forgetAcquisition(task, at);
  return false;
}

export function* lockMutex(task: Task, at: number): Routine<void> {
  if (task.yieldsAtLocks) yield task.point('lock:wanted', at);
  const { words } = task;
  if (tryLockMutex(task, at)) return;
  const since = task.driver.now();
  if (task.lockdep !== null) task.lockdep.acquire(words[at + Mutex.Rank], at, LockMode.Mutex, false);
  pushHeld(task, at, LockMode.Mutex);
  try {
    checkFence(task.arena);
    if (!spin(task, at)) {
      while (Atomics.exchange(words, at + Mutex.State, MutexState.Waited) !== MutexState.Free) {
        yield task.wait(at + Mutex.State, MutexState.Waited);
      }
    }
  } catch (error) {
    forgetAcquisition(task, at);
    throw error;
  }
  words[at + Mutex.Owner] = task.thread + 1;
  countLockWait(task, words[at + Mutex.Rank], since);
}

export function unlockMutex(task: Task, at: number): void {
  const { words } = task;
  if (task.lockdep !== null) task.lockdep.release(words[at + Mutex.Rank], at);
  words[at + Mutex.Owner] = 0;
  if (Atomics.exchange(words, at + Mutex.State, MutexState.Free) === MutexState.Waited) {
    task.driver.wake(at + Mutex.State, 1);
  }
  popHeld(task, at);
}

export function holdsMutex(task: Task, at: number): boolean {
  return task.words[at + Mutex.Owner] === task.thread + 1;
}

/** Whether the mutex came free, and was taken, within a short while. */
function spin(task: Task, at: number): boolean {
  const { words } = task;
  for (let spins = task.spinLimit; spins > 0; spins--) {
    if (Atomics.load(words, at + Mutex.State) !== MutexState.Free) continue;
    if (Atomics.compareExchange(words, at + Mutex.State, MutexState.Free, MutexState.Held) === MutexState.Free)
      return true;
  }
  return false;
}

function forgetAcquisition(task: Task, at: number): void {
  if (task.lockTimes !== null) task.lockTimes.failed();
  popHeld(task, at);
  if (task.lockdep !== null) task.lockdep.release(task.words[at + Mutex.Rank], at);
}
