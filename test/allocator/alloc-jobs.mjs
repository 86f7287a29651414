/** Jobs of threads that share one allocator (test/support/worker.mjs). */
import { ClaimedRun } from '../../dist/src/allocator/group-search.js';
import { openParts, SharedDevice } from '../support/alloc-parts.mjs';

/**
 * Claims, publishes, frees, allocates single blocks and commits, `turns` times. `owners` has a word a block: who got one
 * writes its thread there, and finds nobody. Answers how many blocks are left in use.
 */
export function* churn(task, arena, { deviceBuffer, ownersBuffer, shared, turns, seed }) {
  const parts = openParts(arena, new SharedDevice(deviceBuffer), shared);
  const { allocator, journal } = parts;
  const owners = new Int32Array(ownersBuffer);
  const mine = [];
  let state = seed;
  const chance = () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >>> 8) / 2 ** 23;
  };

  function own(start, length) {
    for (let block = start; block < start + length; block++) {
      const owner = Atomics.compareExchange(owners, block, 0, task.thread + 1);
      if (owner !== 0) throw new Error(`block ${block} given to ${task.thread + 1} is ${owner}'s`);
    }
  }

  function disown(start, length) {
    for (let block = start; block < start + length; block++) Atomics.store(owners, block, 0);
  }

  function* allocateRun(goal, length) {
    if (!(yield* allocator.reserveWaiting(task, length))) return;
    const run = new ClaimedRun();
    yield* allocator.claim(task, goal, length, run);
    own(run.start, run.length);
    if (chance() < 0.1) {
      disown(run.start, run.length);
      allocator.unclaim(task, run.start, run.length);
      allocator.unreserve(task, length);
      return;
    }
    yield* journal.begin(task, 1);
    try {
      yield* allocator.publish(task, run.start, run.length, run.length);
    } finally {
      journal.end(task);
    }
    allocator.unreserve(task, length - run.length);
    mine.push({ start: run.start, length: run.length });
  }

  function* freeRun() {
    const [run] = mine.splice(Math.floor(chance() * mine.length), 1);
    disown(run.start, run.length);
    yield* journal.begin(task, 1);
    try {
      yield* allocator.free(task, run.start, run.length);
    } finally {
      journal.end(task);
    }
  }

  function* allocateBlock(goal) {
    yield* journal.begin(task, 3);
    try {
      const block = yield* allocator.allocateMetadata(task, goal);
      own(block, 1);
      mine.push({ start: block, length: 1 });
    } finally {
      journal.end(task);
    }
  }

  for (let turn = 0; turn < turns; turn++) {
    const what = chance();
    const goal = Math.floor(chance() * parts.geometry.blocks);
    if (mine.length > 60 || (what < 0.35 && mine.length > 0)) yield* freeRun();
    else if (what < 0.8) yield* allocateRun(goal, 1 + Math.floor(chance() ** 3 * 60));
    else if (what < 0.95) yield* allocateBlock(goal);
    else yield* journal.commit(task);
  }
  yield* journal.commit(task);
  return mine.reduce((sum, run) => sum + run.length, 0);
}

/** Opens and ends a handle that changes something, then commits, `turns` times. */
export function* commits(task, arena, { deviceBuffer, shared, turns, seed }) {
  const { allocator, journal } = openParts(arena, new SharedDevice(deviceBuffer), shared);
  for (let turn = 0; turn < turns; turn++) {
    yield* journal.begin(task, 3);
    try {
      yield* allocator.allocateMetadata(task, seed * 500);
    } finally {
      journal.end(task);
    }
    yield* journal.commit(task);
  }
}
