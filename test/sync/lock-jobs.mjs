/** Jobs of threads that share one lock (test/support/worker.mjs). */
import { GlobalLock, Header, Thread } from '../../dist/src/sync/layout.js';
import { lockLeaf, unlockLeaf } from '../../dist/src/sync/leaf.js';
import { LockMode } from '../../dist/src/sync/lockdep.js';
import { lockMutex, tryLockMutex, unlockMutex } from '../../dist/src/sync/mutex.js';
import { acquireRange, releaseRange, tryAcquireRange } from '../../dist/src/sync/range-lock.js';
import {
  acquireBiasedExclusive,
  acquireBiasedShared,
  releaseBiasedExclusive,
  releaseBiasedShared,
  tryAcquireBiasedExclusive,
  tryAcquireBiasedShared,
} from '../../dist/src/sync/reader-biased.js';
import {
  acquireExclusive,
  acquireShared,
  releaseExclusive,
  releaseShared,
  tryAcquireExclusive,
  tryAcquireShared,
} from '../../dist/src/sync/rwsem.js';
import {
  acquireFilling,
  acquireInvalidating,
  releaseFilling,
  releaseInvalidating,
  tryAcquireFilling,
  tryAcquireInvalidating,
} from '../../dist/src/sync/two-state.js';
import { acquireVersioned, releaseVersioned, tryAcquireVersioned } from '../../dist/src/sync/versioned-rwsem.js';
import { CHANGING, versionOf } from '../../dist/src/sync/versions.js';

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

/** Pages of the ranges below; each has a counter that only exclusive holders of its range change, and one of who is inside. */
export const RANGE_PAGES = 24;

/** Ranges of up to six pages, half of them exclusive. Answers the increments made, and the pages in which the exclusion failed. */
export function* ranges(task, arena, { turns, seed }) {
  const { words, layout } = arena;
  const at = layout.locks + GlobalLock.Names;
  const inside = layout.ghosts + RANGE_PAGES;
  let random = seed + 1;
  const chance = (n) => {
    random = (Math.imul(random, 1103515245) + 12345) & 0x7fffffff;
    return (random >> 8) % n;
  };
  let [increments, violations] = [0, 0];
  for (let i = 0; i < turns; i++) {
    const first = chance(RANGE_PAGES);
    const end = Math.min(RANGE_PAGES, first + 1 + chance(6));
    const exclusive = chance(2) === 0;
    const mode = exclusive ? LockMode.Exclusive : LockMode.Shared;
    if (!tryAcquireRange(task, at, mode, first, end)) yield* acquireRange(task, at, mode, first, end);
    for (let page = first; page < end; page++) {
      const others = Atomics.add(words, inside + page, exclusive ? 0x10000 : 1);
      if (exclusive ? others !== 0 : others >= 0x10000) violations++;
    }
    if (exclusive) {
      for (let page = first; page < end; page++) words[layout.ghosts + page]++;
      increments += end - first;
    }
    dwell(task, i);
    for (let page = first; page < end; page++) Atomics.sub(words, inside + page, exclusive ? 0x10000 : 1);
    releaseRange(task, at);
  }
  return [increments, violations];
}

/** Every third turn invalidates. Answers the turns in which both sides were inside. */
export function* twoState(task, arena, { turns, seed }) {
  const { words } = arena;
  const at = arena.layout.locks + GlobalLock.Names;
  let violations = 0;
  for (let i = seed; i < turns + seed; i++) {
    const invalidates = i % 3 === 0;
    if (invalidates) {
      if (!tryAcquireInvalidating(task, at)) yield* acquireInvalidating(task, at);
    } else if (!tryAcquireFilling(task, at)) yield* acquireFilling(task, at);
    Atomics.add(words, invalidates ? WRITERS_INSIDE : READERS_INSIDE, 1);
    dwell(task, i);
    if (Atomics.load(words, invalidates ? READERS_INSIDE : WRITERS_INSIDE) !== 0) violations++;
    Atomics.sub(words, invalidates ? WRITERS_INSIDE : READERS_INSIDE, 1);
    if (invalidates) releaseInvalidating(task, at);
    else releaseFilling(task, at);
  }
  return violations;
}

/** One turn in `writeEvery` writes. Answers the turns in which the exclusion failed. */
export function* biased(task, arena, { turns, seed, writeEvery }) {
  const { words } = arena;
  const at = arena.layout.locks + GlobalLock.Names;
  let violations = 0;
  for (let i = seed; i < turns + seed; i++) {
    if (i % writeEvery === 0) {
      if (!tryAcquireBiasedExclusive(task, at)) yield* acquireBiasedExclusive(task, at);
      if (Atomics.add(words, WRITERS_INSIDE, 1) !== 0 || Atomics.load(words, READERS_INSIDE) !== 0) violations++;
      const value = words[DATA];
      dwell(task, i);
      words[DATA] = value + 1;
      if (Atomics.load(words, READERS_INSIDE) !== 0) violations++;
      Atomics.sub(words, WRITERS_INSIDE, 1);
      releaseBiasedExclusive(task, at);
    } else {
      if (!tryAcquireBiasedShared(task, at)) yield* acquireBiasedShared(task, at);
      Atomics.add(words, READERS_INSIDE, 1);
      dwell(task, i);
      if (Atomics.load(words, WRITERS_INSIDE) !== 0) violations++;
      Atomics.sub(words, READERS_INSIDE, 1);
      releaseBiasedShared(task, at);
    }
  }
  return violations;
}

/** Even threads write one value all over a range, odd ones look at it without a lock. Answers the mixtures seen, and the reads that were good. */
export function* versioned(task, arena, { turns, seed }) {
  const { words, layout } = arena;
  const at = layout.locks + GlobalLock.Names;
  const data = layout.ghosts;
  const seen = new Int32Array(2 * RANGE_PAGES);
  let [mixtures, reads] = [0, 0];
  for (let i = 1; i <= turns; i++) {
    if (seed % 2 === 0) {
      if (!tryAcquireVersioned(task, at, 0, 100)) yield* acquireVersioned(task, at, 0, 100);
      words.fill(i, data, data + seen.length);
      releaseVersioned(task, at);
      dwell(task, i);
      continue;
    }
    const before = versionOf(arena, at, 0, 100);
    if (before === CHANGING) continue;
    seen.set(words.subarray(data, data + seen.length));
    if (versionOf(arena, at, 0, 100) !== before) continue;
    reads++;
    if (seen.some((value) => value !== seen[0])) mixtures++;
  }
  return [mixtures, reads];
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

const HOLD = {
  range: (task, at) => acquireRange(task, at, LockMode.Exclusive, 3, 9),
  filling: acquireFilling,
  invalidating: acquireInvalidating,
  biasedShared: acquireBiasedShared,
  biasedExclusive: acquireBiasedExclusive,
};

/** As holdRwsem and waitRwsem, with a lock of the type that HOLD names. */
export function* holdTyped(task, arena, { hold }) {
  yield* HOLD[hold](task, arena.layout.locks + GlobalLock.Names);
  arrive(arena.words);
  for (;;) yield task.pause(60_000);
}

export function* waitTyped(task, arena, { wait }) {
  arrive(arena.words);
  yield* HOLD[wait](task, arena.layout.locks + GlobalLock.Names);
}
