/**
 * Starvation: whom a thread that queues for a lock sees go first. Looked at after each step of every schedule, whatever the
 * strategy.
 *
 * What each type of lock states, and what is held here of every thread that sleeps in a queue (a *pass* is an acquisition that
 * excludes the sleeper, by a thread that came later):
 *
 *  1. range: nobody passes.
 *  2. rwsem, versioned: no reader enters while anybody is queued; one that is queued itself may be taken along by a reader ahead of
 *     it. A head writer whom running writers have passed for HANDOFF_MS is woken in vain once more at most.
 *     (Not so under the policy `reader-preferring`, which says that writers may starve.)
 *  3. two-state: the other side has one turn at most before the sleeper's, so that each thread passes once.
 *  4. All of these, and reader-biased, whose readers pass while the bias lasts: BYPASSES_MAX passes, exclusive ones counted by
 *     the lock itself while the queue's head sleeps too. That is far above what a scenario of a few operations reaches by honest means, and below what a loop
 *     reaches.
 *
 * A shared hold that begins and ends within one step is not seen.
 */
import type { LockTypeName } from '../locking/lock-types.js';
import { RANGES_MAX, Range, Rwsem, Thread } from '../sync/layout.js';
import { LockMode, LockRank } from '../sync/lockdep.js';
import { findRange } from '../sync/ranges.js';
import { HANDOFF_MS } from '../sync/rwsem.js';
import { RwsemPolicy, RwsemState } from '../sync/rwsem-policy.js';
import { type LogicalThread, ThreadState } from './logical-thread.js';
import { ScheduleFailed } from './verdict.js';
import type { World } from './world.js';

const BYPASSES_MAX = 12;

export function watchQueues(
  world: World,
  threads: readonly LogicalThread[],
  stepped: LogicalThread,
  step: number,
  nowMs: number,
): void {
  const { words } = world.arena;
  const { record } = stepped.actor.task;
  const queue = queueOf(words, stepped);
  let depth = 0;
  for (let i = 0; i < words[record + Thread.HeldDepth]; i++) {
    const lock = words[record + Thread.Held + 2 * i];
    const mode: LockMode = words[record + Thread.Held + 2 * i + 1];
    // A waiter has the lock on its stack too.
    if (lock === queue || mode === LockMode.Mutex) continue;
    if (stepped.held[depth] !== lock) notePasses(world, threads, stepped, lock, mode, step);
    stepped.held[depth++] = lock;
  }
  stepped.held.length = depth;
  for (const other of threads) if (other !== stepped && other.queue !== 0) countWriters(words, other);
  if (queue === 0 || queue !== stepped.queue) join(words, stepped, queue, step);
  else noteVainWake(words, stepped, nowMs);
}

/** The lock in whose queue the thread sleeps, or 0. */
function queueOf(words: Int32Array, { state, word, actor }: LogicalThread): number {
  if (state !== ThreadState.Asleep) return 0;
  const { record, ranges } = actor.task;
  const isRange = word >= ranges && word < ranges + RANGES_MAX * Range.Words;
  return isRange || word === record + Thread.NodeGranted ? words[record + Thread.NodeLock] : 0;
}

function join(words: Int32Array, thread: LogicalThread, queue: number, step: number): void {
  thread.queue = queue;
  thread.queuedAt = step;
  thread.generation = words[queue + Rwsem.Generation];
  thread.passes = 0;
  thread.vainWakes = 0;
}

/** The thread holds the lock since this step. */
function notePasses(
  world: World,
  threads: readonly LogicalThread[],
  stepped: LogicalThread,
  lock: number,
  mode: LockMode,
  step: number,
): void {
  const hasQueued = stepped.queue === lock;
  const since = hasQueued ? stepped.queuedAt : step;
  for (const other of threads) {
    if (other === stepped || other.state !== ThreadState.Asleep || other.queue !== lock) continue;
    if (other.queuedAt >= since) continue;
    const most = passesMax(world, threads, stepped, other, lock, mode, hasQueued);
    if (most !== Number.POSITIVE_INFINITY && ++other.passes > most)
      accuse(other, `${stepped.name} was the last to pass it`);
  }
}

/** How often the sleeper may have been passed once this hold is counted; Infinity where it does not exclude the sleeper. */
function passesMax(
  { arena, scheme }: World,
  threads: readonly LogicalThread[],
  stepped: LogicalThread,
  other: LogicalThread,
  lock: number,
  mode: LockMode,
  hasQueued: boolean,
): number {
  const { words } = arena;
  const { task } = stepped.actor;
  const type = typeOf(words[lock + Rwsem.Rank], scheme.locks);
  const wanted: LockMode = modeWanted(words, other.actor.task.record, lock);
  if (type === 'range') return overlap(stepped, other, lock, mode, wanted) ? 0 : Number.POSITIVE_INFINITY;
  if (type === 'two-state') return mode === wanted ? Number.POSITIVE_INFINITY : threads.length - 1;
  // Exclusive ones are counted by the lock (countWriters).
  if (mode !== LockMode.Shared || wanted === LockMode.Shared) return Number.POSITIVE_INFINITY;
  const mayPass = hasQueued || type === 'reader-biased' || task.rwsemPolicy === RwsemPolicy.ReaderPreferring;
  return mayPass ? BYPASSES_MAX : 0;
}

function typeOf(rank: number, locks: World['scheme']['locks']): LockTypeName {
  if (rank === LockRank.IRwsem) return locks.iRwsem;
  return rank === LockRank.InvalidateLock ? locks.invalidateLock : 'rwsem';
}

function modeWanted(words: Int32Array, record: number, lock: number): LockMode {
  for (let i = words[record + Thread.HeldDepth] - 1; i > 0; i--) {
    if (words[record + Thread.Held + 2 * i] === lock) return words[record + Thread.Held + 2 * i + 1];
  }
  return words[record + Thread.Held + 1];
}

function overlap(a: LogicalThread, b: LogicalThread, lock: number, modeA: LockMode, modeB: LockMode): boolean {
  if (modeA === LockMode.Shared && modeB === LockMode.Shared) return false;
  const { unsigned } = a.actor.task.arena;
  const [left, right] = [findRange(a.actor.task, lock), findRange(b.actor.task, lock)];
  return (
    unsigned[left + Range.First] < unsigned[right + Range.End] &&
    unsigned[right + Range.First] < unsigned[left + Range.End]
  );
}

function countWriters(words: Int32Array, thread: LogicalThread): void {
  const generation = words[thread.queue + Rwsem.Generation];
  // A head that was woken and is not given the processor is starved by the schedule, not by the lock, and who is behind it too.
  const isHeadAwake = (words[thread.queue + Rwsem.State] & RwsemState.Kicked) !== 0;
  if (thread.state === ThreadState.Asleep && !isHeadAwake) thread.passes += generation - thread.generation;
  thread.generation = generation;
  if (thread.passes > BYPASSES_MAX) accuse(thread, 'by writers');
}

function noteVainWake(words: Int32Array, thread: LogicalThread, nowMs: number): void {
  const { record } = thread.actor.task;
  if (thread.word !== record + Thread.NodeGranted) return;
  if (((Math.floor(nowMs) - words[record + Thread.NodeSince]) | 0) < HANDOFF_MS) return;
  if (++thread.vainWakes > 1) accuse(thread, `and woken in vain ${thread.vainWakes} times after ${HANDOFF_MS} ms`);
}

function accuse({ name, passes }: LogicalThread, how: string): never {
  throw new ScheduleFailed('starvation', `${name} was passed ${passes} times while it queued: ${how}`);
}
