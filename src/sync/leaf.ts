/**
 * The leaf mutex: one word, held for a few dozen instructions, innermost in the lock order. Any thread, no routine: a
 * contender spins briefly and then sleeps in place.
 *
 * 1. The word is 0 when free, else the holder's slot + 1, with WAITED set while somebody may sleep on it.
 * 2. 0 → holder: by compare-exchange, by who takes it. holder → 0: by exchange, by the holder. WAITED is set by who is
 *    about to sleep, while the word is not 0. A sleeper that takes the lock sets WAITED again, since others may sleep.
 * 3. No wake-up is lost: a sleeper sleeps only while the word is the holder's with WAITED, and the exchange that ends
 *    that value sees the bit.
 * 4. Thread.LeafDepth is raised before the word is taken and lowered after it is given back, so that a death in between
 *    is found.
 * 5. Nobody yields, sleeps or throws while holding one; nobody takes a second one, except where both say so.
 */
import { assert } from '../assert.js';
import type { Task } from '../routine/task.js';
import { Thread } from './layout.js';
import { checkFence, reapIfDue, WAIT_SLICE_MS } from './threads.js';

const WAITED = 0x10000;

export function lockLeaf(task: Task, word: number): void {
  const { words } = task;
  words[task.record + Thread.LeafDepth]++;
  if (Atomics.compareExchange(words, word, 0, task.thread + 1) !== 0) lockLeafSlowly(task, word);
}

export function tryLockLeaf(task: Task, word: number): boolean {
  const { words } = task;
  words[task.record + Thread.LeafDepth]++;
  if (Atomics.compareExchange(words, word, 0, task.thread + 1) === 0) return true;
  words[task.record + Thread.LeafDepth]--;
  return false;
}

export function unlockLeaf(task: Task, word: number): void {
  const { words } = task;
  const old = Atomics.exchange(words, word, 0);
  if ((old & WAITED) !== 0) task.driver.wake(word, 1);
  words[task.record + Thread.LeafDepth]--;
  if (task.lockdep !== null) {
    assert(
      (old & (WAITED - 1)) === task.thread + 1,
      `leaf mutex at ${word} released by thread ${task.thread}, held by ${old}`,
    );
  }
}

export function holdsLeaf(task: Task, word: number): boolean {
  return (Atomics.load(task.words, word) & (WAITED - 1)) === task.thread + 1;
}

function lockLeafSlowly(task: Task, word: number): void {
  const { words } = task;
  const mine = task.thread + 1;
  if (task.lockdep !== null)
    assert(!holdsLeaf(task, word), `leaf mutex at ${word} taken twice by thread ${task.thread}`);
  for (let spins = task.spinLimit; spins > 0; spins--) {
    if (Atomics.load(words, word) === 0 && Atomics.compareExchange(words, word, 0, mine) === 0) return;
  }
  for (;;) {
    const seen = Atomics.load(words, word);
    if (seen === 0) {
      if (Atomics.compareExchange(words, word, 0, mine | WAITED) === 0) return;
      continue;
    }
    if ((seen & WAITED) === 0 && Atomics.compareExchange(words, word, seen, seen | WAITED) !== seen) continue;
    sleepOnLeaf(task, word, seen | WAITED);
  }
}

/** A holder that died is found here, since nobody else may be left to look. */
function sleepOnLeaf(task: Task, word: number, expected: number): void {
  const { words, arena } = task;
  Atomics.store(words, task.record + Thread.WaitingOn, word);
  const answer = Atomics.wait(words, word, expected, WAIT_SLICE_MS);
  Atomics.store(words, task.record + Thread.WaitingOn, 0);
  if (answer === 'timed-out') reapIfDue(arena, task.driver);
  try {
    checkFence(arena);
  } catch (error) {
    words[task.record + Thread.LeafDepth]--;
    throw error;
  }
}
