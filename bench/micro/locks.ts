/** The locks without contention, beside one atomic operation: what each costs on every path that takes it. */
import { BlockingDriver } from '../../src/routine/blocking-driver.js';
import { POINTS } from '../../src/routine/points.js';
import { Arena } from '../../src/sync/arena.js';
import { GlobalLock, Header, layoutOf, StoreState } from '../../src/sync/layout.js';
import { lockLeaf, unlockLeaf } from '../../src/sync/leaf.js';
import { LockRank } from '../../src/sync/lockdep.js';
import { initMutex, tryLockMutex, unlockMutex } from '../../src/sync/mutex.js';
import {
  initRwsem,
  releaseExclusive,
  releaseShared,
  tryAcquireExclusive,
  tryAcquireShared,
} from '../../src/sync/rwsem.js';
import { attachThread, detachThread } from '../../src/sync/threads.js';
import type { Case, Suite } from './measure.js';

const BATCH = 10_000;

/** An arena with locks in it, and nothing else of a store. */
function makeArena(): Arena {
  const layout = layoutOf(
    { frames: 16, inodes: 8, groups: 4, threads: 4, exclusions: 16, pins: 8, requests: 2, openFiles: 4 },
    POINTS.length,
  );
  const arena = new Arena(Arena.allocate(layout), layout);
  arena.words[Header.BlockBytes] = 4096;
  arena.words[Header.Frames] = layout.frames;
  arena.words[Header.Threads] = layout.threads;
  arena.words[Header.State] = StoreState.Open;
  return arena;
}

function repeated(name: string, once: () => void): Case {
  const run = () => {
    for (let i = 0; i < BATCH; i++) once();
  };
  return { name, batch: BATCH, run };
}

export function locksSuite(): { suite: Suite; close(): void } {
  const arena = makeArena();
  const task = attachThread(arena, new BlockingDriver(arena));
  const rwsem = arena.layout.locks + GlobalLock.Names;
  const mutex = arena.layout.locks + GlobalLock.Growth;
  const leaf = arena.layout.locks + GlobalLock.Reclaim;
  initRwsem(arena, rwsem, LockRank.Names);
  initMutex(arena, mutex, LockRank.Growth);
  const counter = new Int32Array(new SharedArrayBuffer(64));
  const pair = 'compare-exchange and add';
  const suite: Suite = {
    name: 'locks without contention',
    cases: [
      repeated('Atomics.add', () => Atomics.add(counter, 0, 1)),
      repeated(pair, () => {
        Atomics.compareExchange(counter, 1, 0, 1);
        Atomics.sub(counter, 1, 1);
      }),
      repeated('rwsem shared', () => {
        tryAcquireShared(task, rwsem);
        releaseShared(task, rwsem);
      }),
      repeated('rwsem exclusive', () => {
        tryAcquireExclusive(task, rwsem);
        releaseExclusive(task, rwsem);
      }),
      repeated('mutex', () => {
        tryLockMutex(task, mutex);
        unlockMutex(task, mutex);
      }),
      repeated('leaf mutex', () => {
        lockLeaf(task, leaf);
        unlockLeaf(task, leaf);
      }),
    ],
    claims: ['rwsem shared', 'rwsem exclusive', 'mutex', 'leaf mutex'].map((name) => ({ name, other: pair })),
  };
  return { suite, close: () => detachThread(task) };
}
