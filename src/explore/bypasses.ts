/**
 * Starvation: how often others take a lock while a thread queues for it.
 *
 * Looked at after each step. Counted are exclusive acquisitions, which the lock counts itself, and threads that hold it shared
 * now and did not before. BYPASSES_MAX is the stated bound: no policy lets a waiter be passed more often, unless time stands
 * still. It is far above what a scenario of a few operations can reach by honest means, and below what a loop reaches.
 */
import type { Arena } from '../sync/arena.js';
import { Rwsem, Thread } from '../sync/layout.js';
import { type LogicalThread, ThreadState } from './logical-thread.js';
import { ScheduleFailed } from './verdict.js';

export const BYPASSES_MAX = 12;

export function countBypasses(arena: Arena, threads: readonly LogicalThread[], stepped: LogicalThread): void {
  const { words } = arena;
  for (const thread of threads) {
    if (thread === stepped) continue;
    const { record } = thread.actor.task;
    if (thread.state !== ThreadState.Asleep || thread.word !== record + Thread.NodeGranted) {
      thread.queuedFor = 0;
      continue;
    }
    const lock = words[record + Thread.NodeLock];
    const generation = words[lock + Rwsem.Generation];
    const held = holdsLock(words, stepped.actor.task.record, lock) ? 1 << stepped.index : 0;
    if (thread.queuedFor !== lock) {
      thread.queuedFor = lock;
      thread.generationAtQueue = generation;
      thread.bypasses = 0;
      thread.heldByOthers = held;
      continue;
    }
    thread.bypasses += generation - thread.generationAtQueue;
    thread.generationAtQueue = generation;
    const before = thread.heldByOthers & (1 << stepped.index);
    if (held !== 0 && before === 0 && generation === thread.generationAtQueue) thread.bypasses++;
    thread.heldByOthers = (thread.heldByOthers & ~(1 << stepped.index)) | held;
    if (thread.bypasses > BYPASSES_MAX) {
      throw new ScheduleFailed('starvation', `${thread.name} was passed ${thread.bypasses} times while it queued`);
    }
  }
}

function holdsLock(words: Int32Array, record: number, lock: number): boolean {
  for (let i = 0; i < words[record + Thread.HeldDepth]; i++) {
    if (words[record + Thread.Held + 2 * i] !== lock) continue;
    // A waiter has it on its stack too.
    return !(
      words[record + Thread.NodeLock] === lock && words[record + Thread.WaitingOn] === record + Thread.NodeGranted
    );
  }
  return false;
}
