/**
 * The range lock: shared or exclusive over ranges of an inode's pages, of which only overlapping ones exclude each other. Any
 * task; the acquiring functions are routines, with try functions as their fast paths. Only the task that acquired may
 * release, and a task holds a lock once at most.
 *
 * Every holder and waiter has a record (ranges.ts). The lock's word Sole is
 *   0               nobody is there
 *   a record        its thread holds the lock and is alone: it came by one compare-exchange, and leaves by one
 *   RANGES_LISTED   holders and waiters are on the list, in the order of their arrival
 * Who changes what:
 *   Sole   0 → own record, own record → 0   compare-exchange, by that thread
 *          record → RANGES_LISTED           compare-exchange, by an arriving thread that holds QueueLock: it puts the record on
 *                                           the list in its thread's place
 *          RANGES_LISTED → 0                by who takes the last record off the list, holding QueueLock
 *   list, Blockers   under QueueLock
 *   Range.State      Waiting → Held by who takes away the last blocker, holding QueueLock
 *
 * An arriving record counts the earlier ones, held or waiting, that overlap it where one of the two is exclusive: its
 * blockers. Without any it holds. A release takes its record off the list and one blocker from each later record that
 * conflicts with it; who has none left is granted and woken. (The counting is Jan Kara's, "lib: Implement range locks", 2013; the
 * plain list in place of an interval tree is because a lock has few holders, and the tree was what that cost.)
 *
 * 1. Fair. A record waits only for earlier ones, which do not become more. So nobody starves, nobody is passed by one
 *    that conflicts with it (a waiting exclusive range holds back later shared ones), and the lock alone makes no deadlock.
 * 2. No wake-up is lost. Blockers are counted and taken away under QueueLock, each exactly once, as conflicts do not change
 *    while a record is on the list. Who takes the last one sets State before it wakes; the waiter sleeps only while it is Waiting.
 * 3. A record is written before the compare-exchange on Sole or the QueueLock that shows it to others. Who reads a record through Sole has
 *    read that exchange, so it sees this hold's range even where the thread has let go and come again meanwhile.
 * 4. What was done inside happens before what a conflicting task does inside: it has read what the release wrote, by Sole, by QueueLock
 *    or by its State.
 * 5. The stack of held locks (threads.ts) has the lock from before the arrival until after the hand-over. The record says who
 *    holds which pages and how.
 *
 * Cost: alone, two atomic operations, as an rwsem; else four and a walk along the list, which is as long as threads are inside.
 * Takes: QueueLock (leaf).
 */
import { assert } from '../assert.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { forgetAcquisition, recordAcquisition } from './acquisition.js';
import { RANGES_LISTED, Range, RangeLock, Rwsem, StoreState, Thread } from './layout.js';
import { lockLeaf, unlockLeaf } from './leaf.js';
import { LockMode } from './lockdep.js';
import { claimRange, findRange, freeRange, RangeState } from './ranges.js';
import { countLockWait } from './statistics.js';
import { checkFence, popHeld } from './threads.js';
import { wakeGranted } from './wait-queue.js';

/** Takes the pages [first, end) if nobody stands in the way, waiters included. */
export function tryAcquireRange(
  task: Task,
  at: number,
  mode: LockMode,
  first: number,
  end: number,
  mayInvert = false,
): boolean {
  recordAcquisition(task, at, mode, mayInvert);
  const record = claimRange(task, at, mode, first, end);
  if (Atomics.compareExchange(task.words, at + RangeLock.Sole, 0, record) === 0) return true;
  if (arrive(task, at, record, false)) return true;
  freeRange(task, record);
  forgetAcquisition(task, at);
  return false;
}

export function* acquireRange(task: Task, at: number, mode: LockMode, first: number, end: number): Routine<void> {
  if (task.yieldsAtLocks) yield task.point('lock:wanted', at);
  checkFence(task.arena);
  recordAcquisition(task, at, mode, false);
  const record = claimRange(task, at, mode, first, end);
  if (Atomics.compareExchange(task.words, at + RangeLock.Sole, 0, record) === 0) return;
  try {
    if (arrive(task, at, record, true)) return;
    yield* waitHeld(task, at, record + Range.State);
  } catch (error) {
    // Only a fence comes here. The record stays on the list: nobody is granted anything any more.
    forgetAcquisition(task, at);
    throw error;
  }
}

export function releaseRange(task: Task, at: number): void {
  const { words } = task;
  if (task.lockdep !== null) task.lockdep.release(words[at + Rwsem.Rank], at);
  const record = findRange(task, at);
  if (record === 0) notHeld(task, at);
  if (Atomics.compareExchange(words, at + RangeLock.Sole, record, 0) === record) freeRange(task, record);
  else depart(task, at, record);
  popHeld(task, at);
}

function notHeld(task: Task, at: number): never {
  assert(false, `thread ${task.thread} releases a range of the lock at ${at}, of which it holds none`);
}

function* waitHeld(task: Task, at: number, state: number): Routine<void> {
  const { words } = task;
  const since = task.driver.now();
  for (let spins = task.spinLimit; spins > 0; spins--) {
    if (Atomics.load(words, state) === RangeState.Held) break;
  }
  words[task.record + Thread.NodeLock] = at;
  while (Atomics.load(words, state) !== RangeState.Held) yield task.wait(state, RangeState.Waiting);
  countLockWait(task, words[at + Rwsem.Rank], since);
}

/** Whether the record holds now. If it does not it is on the list, waiting, with `stays`, and not there without. */
function arrive(task: Task, at: number, record: number, stays: boolean): boolean {
  const { words } = task;
  lockLeaf(task, at + RangeLock.QueueLock);
  if (!makeList(task, at, record)) {
    unlockLeaf(task, at + RangeLock.QueueLock);
    return true;
  }
  let blockers = 0;
  for (let other = words[at + RangeLock.Head]; other !== 0; other = words[other + Range.Next]) {
    if (conflict(task, other, record)) blockers++;
  }
  if (blockers === 0 || stays) append(task, at, record, blockers);
  unlockLeaf(task, at + RangeLock.QueueLock);
  return blockers === 0;
}

/** Puts a sole holder on the list; or answers false, having made the task the sole holder after all. */
function makeList(task: Task, at: number, record: number): boolean {
  const { words } = task;
  for (;;) {
    const sole = Atomics.load(words, at + RangeLock.Sole);
    if (sole === RANGES_LISTED) return true;
    const next = sole === 0 ? record : RANGES_LISTED;
    if (Atomics.compareExchange(words, at + RangeLock.Sole, sole, next) !== sole) continue;
    if (sole === 0) return false;
    append(task, at, sole, 0);
    return true;
  }
}

function append(task: Task, at: number, record: number, blockers: number): void {
  const { words } = task;
  const tail = words[at + RangeLock.Tail];
  if (blockers > 0) words[record + Range.State] = RangeState.Waiting;
  words[record + Range.Blockers] = blockers;
  words[record + Range.Next] = 0;
  words[record + Range.Previous] = tail;
  if (tail === 0) words[at + RangeLock.Head] = record;
  else words[tail + Range.Next] = record;
  words[at + RangeLock.Tail] = record;
}

/** Takes a holder's record off the list, and lets in whom it was the last to keep out. */
function depart(task: Task, at: number, record: number): void {
  // Waiters of a fenced store are woken by the fence, and the queue lock may belong to the dead thread.
  if (task.arena.state === StoreState.Fenced) return;
  const { words } = task;
  lockLeaf(task, at + RangeLock.QueueLock);
  for (let other = words[record + Range.Next]; other !== 0; other = words[other + Range.Next]) {
    if (!conflict(task, record, other)) continue;
    words[other + Range.Blockers]--;
    if (words[other + Range.Blockers] > 0) continue;
    Atomics.store(words, other + Range.State, RangeState.Held);
    task.wakes.push(other + Range.State);
  }
  unlink(task, at, record);
  if (words[at + RangeLock.Head] === 0) Atomics.store(words, at + RangeLock.Sole, 0);
  unlockLeaf(task, at + RangeLock.QueueLock);
  wakeGranted(task);
  freeRange(task, record);
}

function unlink(task: Task, at: number, record: number): void {
  const { words } = task;
  const previous = words[record + Range.Previous];
  const next = words[record + Range.Next];
  if (previous === 0) words[at + RangeLock.Head] = next;
  else words[previous + Range.Next] = next;
  if (next === 0) words[at + RangeLock.Tail] = previous;
  else words[next + Range.Previous] = previous;
}

function conflict(task: Task, a: number, b: number): boolean {
  const { words } = task;
  const { unsigned } = task.arena;
  if (words[a + Range.Mode] === LockMode.Shared && words[b + Range.Mode] === LockMode.Shared) return false;
  return unsigned[a + Range.First] < unsigned[b + Range.End] && unsigned[b + Range.First] < unsigned[a + Range.End];
}
