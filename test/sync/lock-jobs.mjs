/** Jobs of threads that share one lock (test/support/worker.mjs). */
import { GlobalLock, Header, Thread } from '../../dist/src/sync/layout.js';
import { lockLeaf, unlockLeaf } from '../../dist/src/sync/leaf.js';
import { lockMutex, tryLockMutex, unlockMutex } from '../../dist/src/sync/mutex.js';
import {
  acquireExclusive,
  acquireShared,
  releaseExclusive,
  releaseShared,
  tryAcquireExclusive,
  tryAcquireShared,
} from '../../dist/src/sync/rwsem.js';

/** Words that these tests use as plain data: nothing else in the arena does. */
export const DATA = Header.Words - 4;
const WRITERS_INSIDE = DATA + 1;
const READERS_INSIDE = DATA + 2;
/** How many threads have got as far as their job wants the test to wait for. */
export const ARRIVED = DATA + 3;

function arrive(words) {
  Atomics.add(words, ARRIVED, 1);
  Atomics.notify(words, ARRIVED);
}

/** Keeps the lock for a while, so that others pile up; now and then for so long that they sleep. */
function dwell(task, i) {
  const loops = i % 97 === 0 ? 20_000 : (i * 7) % 60;
  for (let k = 0; k < loops; k++) Atomics.load(task.words, DATA);
}

export function* leaf(task, arena, { turns }) {
  const word = arena.layout.locks + GlobalLock.Reclaim;
  for (let i = 0; i < turns; i++) {
    lockLeaf(task, word);
    const value = arena.words[DATA];
    dwell(task, i);
    arena.words[DATA] = value + 1;
    unlockLeaf(task, word);
  }
}

export function* mutex(task, arena, { turns }) {
  const at = arena.layout.locks + GlobalLock.InodeTable;
  for (let i = 0; i < turns; i++) {
    if (!tryLockMutex(task, at)) yield* lockMutex(task, at);
    const value = arena.words[DATA];
    dwell(task, i);
    arena.words[DATA] = value + 1;
    unlockMutex(task, at);
  }
}

/** Every third turn writes. Answers the turns in which the exclusion failed. */
export function* rwsem(task, arena, { turns, seed }) {
  const { words } = arena;
  const at = arena.layout.locks + GlobalLock.Names;
  let violations = 0;
  for (let i = seed; i < turns + seed; i++) {
    if (i % 3 === 0) {
      if (!tryAcquireExclusive(task, at)) yield* acquireExclusive(task, at);
      if (Atomics.add(words, WRITERS_INSIDE, 1) !== 0 || Atomics.load(words, READERS_INSIDE) !== 0) violations++;
      const value = words[DATA];
      dwell(task, i);
      words[DATA] = value + 1;
      Atomics.sub(words, WRITERS_INSIDE, 1);
      releaseExclusive(task, at);
    } else {
      if (!tryAcquireShared(task, at)) yield* acquireShared(task, at);
      Atomics.add(words, READERS_INSIDE, 1);
      dwell(task, i);
      if (Atomics.load(words, WRITERS_INSIDE) !== 0) violations++;
      Atomics.sub(words, READERS_INSIDE, 1);
      releaseShared(task, at);
    }
  }
  return violations;
}

/** Takes the lock and sleeps for good. */
export function* holdRwsem(task, arena, { exclusive }) {
  const at = arena.layout.locks + GlobalLock.Names;
  yield* exclusive ? acquireExclusive(task, at) : acquireShared(task, at);
  arrive(arena.words);
  for (;;) yield task.pause(60_000);
}

/** Waits for the lock. */
export function* waitRwsem(task, arena, { exclusive }) {
  const at = arena.layout.locks + GlobalLock.Names;
  arrive(arena.words);
  yield* exclusive ? acquireExclusive(task, at) : acquireShared(task, at);
}

export function* holdMutex(task, arena) {
  yield* lockMutex(task, arena.layout.locks + GlobalLock.InodeTable);
  arrive(arena.words);
  for (;;) yield task.pause(60_000);
}

export function* waitMutex(task, arena) {
  arrive(arena.words);
  yield* lockMutex(task, arena.layout.locks + GlobalLock.InodeTable);
}

/** Dies, if it is let to, in a leaf mutex: in a loop that never ends. */
export function* holdLeaf(task, arena) {
  lockLeaf(task, arena.layout.locks + GlobalLock.Reclaim);
  arrive(arena.words);
  for (;;) Atomics.wait(arena.words, DATA, 0, 60_000);
}

export function* waitLeaf(task, arena) {
  arrive(arena.words);
  lockLeaf(task, arena.layout.locks + GlobalLock.Reclaim);
}

/** Holds no lock, but `pin` as if its hit path had pinned that frame. */
export function* idle(task, arena, { pin }) {
  arena.words[task.record + Thread.HitPin] = pin;
  arrive(arena.words);
  for (;;) yield task.pause(60_000);
}

export function* stopAt(task, _arena, { point }) {
  yield task.point(point);
  return 'went on';
}
