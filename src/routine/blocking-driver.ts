/**
 * The blocking driver: runs a routine on the calling thread, which sleeps where the routine waits and calls the device
 * where it wants I/O. Workers and service threads use it always, the opening thread when it opens and closes the store.
 *
 * 1. No sleep is longer than WAIT_SLICE_MS: after each slice the sleeper looks for threads that died (sync/threads.ts).
 * 2. Once the store is fenced, every wait throws EOWNERDEAD into the routine, which releases what it holds and passes
 *    it on.
 * 3. A routine that waits holds no leaf mutex; asserted in verify mode.
 */
import { availableParallelism } from 'node:os';
import { assert } from '../assert.js';
import type { Arena } from '../sync/arena.js';
import { gateAt } from '../sync/gates.js';
import { Gate, Header, HeaderFlag, Thread } from '../sync/layout.js';
import { checkFence, reapIfDue, WAIT_SLICE_MS } from '../sync/threads.js';
import { transfer } from './device-effects.js';
import { type Effect, EffectKind, type Routine, TIMED_OUT, WOKEN } from './effect.js';
import type { Driver, Task } from './task.js';

/** About two microseconds: as long as a writer copies a page or two. Longer burns what the holder could run on. */
const SPIN_LIMIT = 200;

/** Read once: the property costs as much as the clock. */
const TIME_ORIGIN = performance.timeOrigin;

export class BlockingDriver implements Driver {
  readonly spinLimit = availableParallelism() > 1 ? SPIN_LIMIT : 0;
  unpin: ((frame: number) => void) | null = null;
  private readonly words: Int32Array;
  private readonly threads: number;

  /** `passesPoints`: false where somebody drives the routine by hand, from point to point. */
  constructor(
    arena: Arena,
    readonly passesPoints = true,
  ) {
    this.words = arena.words;
    this.threads = arena.layout.threads;
  }

  now(): number {
    return TIME_ORIGIN + performance.now();
  }

  random(): number {
    return Math.random();
  }

  wake(word: number, count: number): void {
    const { words, threads } = this;
    // One after the other: the host wakes them all under a lock of its own, which each of them needs before it can go on.
    for (let left = Math.min(count, threads); left > 0 && Atomics.notify(words, word, 1) === 1; left--);
  }
}

/** Runs the routine to its end and returns its value, or throws its error. */
export function runBlocking<T>(task: Task, routine: Routine<T>): T {
  let step = routine.next(0);
  while (step.done !== true) {
    let answer: number;
    try {
      answer = perform(task, step.value);
    } catch (error) {
      step = routine.throw(error);
      continue;
    }
    step = routine.next(answer);
  }
  return step.value;
}

function perform(task: Task, effect: Effect): number {
  if (task.lockdep !== null) {
    assert(task.words[task.record + Thread.LeafDepth] === 0, 'a routine waits while holding a leaf mutex');
  }
  switch (effect.kind) {
    case EffectKind.Wait:
      return sleep(task, effect.word, effect.expected, effect.timeoutMs);
    case EffectKind.Io:
      return transfer(effect);
    case EffectKind.Point:
      if ((Atomics.load(task.words, Header.Flags) & HeaderFlag.Gates) !== 0) stopAtGate(task, effect.point);
      return 0;
    case EffectKind.Pause:
      // Nobody wakes a thread's own wait word; only a fence does.
      sleep(task, task.record + Thread.WaitingOn, task.record + Thread.WaitingOn, effect.timeoutMs);
      return 0;
  }
}

function sleep(task: Task, word: number, expected: number, timeoutMs: number): number {
  const { words, arena, record } = task;
  // Recorded before the fence is looked at: either this sees the fence, or the fence sees this, or a slice ends.
  Atomics.store(words, record + Thread.WaitingOn, word);
  try {
    checkFence(arena);
    const end = timeoutMs === Number.POSITIVE_INFINITY ? timeoutMs : performance.now() + timeoutMs;
    for (let left = timeoutMs; left > 0; left = end - performance.now()) {
      const answer = Atomics.wait(words, word, expected, Math.min(left, WAIT_SLICE_MS));
      if (answer === 'timed-out') reapIfDue(arena, task.driver);
      checkFence(arena);
      if (answer !== 'timed-out') return WOKEN;
    }
    return TIMED_OUT;
  } finally {
    Atomics.store(words, record + Thread.WaitingOn, 0);
  }
}

function stopAtGate(task: Task, point: number): void {
  const at = gateAt(task.arena, point);
  if (Atomics.load(task.words, at + Gate.Held) === 0) return;
  Atomics.add(task.words, at + Gate.Arrived, 1);
  Atomics.notify(task.words, at + Gate.Arrived);
  while (Atomics.load(task.words, at + Gate.Held) !== 0) {
    sleep(task, at + Gate.Held, 1, Number.POSITIVE_INFINITY);
  }
}
