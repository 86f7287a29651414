/** The locks without contention, beside one atomic operation: what each costs on every path that takes it. */
import { BlockingDriver } from '../../src/routine/blocking-driver.js';
import { POINTS } from '../../src/routine/points.js';
import { Arena } from '../../src/sync/arena.js';
import { GlobalLock, Header, Inode, layoutOf, StoreState } from '../../src/sync/layout.js';
import { lockLeaf, unlockLeaf } from '../../src/sync/leaf.js';
import { LockMode, LockRank } from '../../src/sync/lockdep.js';
import { initMutex, tryLockMutex, unlockMutex } from '../../src/sync/mutex.js';
import { releaseRange, tryAcquireRange } from '../../src/sync/range-lock.js';
import { releaseBiasedShared, tryAcquireBiasedShared } from '../../src/sync/reader-biased.js';
import {
  initRwsem,
  releaseExclusive,
  releaseShared,
  tryAcquireExclusive,
  tryAcquireShared,
} from '../../src/sync/rwsem.js';
import { attachThread, detachThread } from '../../src/sync/threads.js';
import { releaseFilling, tryAcquireFilling } from '../../src/sync/two-state.js';
import { releaseVersioned, tryAcquireVersioned } from '../../src/sync/versioned-rwsem.js';
import { versionOf } from '../../src/sync/versions.js';
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
  const [range, shared, twoState, biased, versioned] = Array.from({ length: 5 }, (_, i) => {
    const at = arena.layout.inodeRecords + i * Inode.Words + Inode.IRwsem;
    initRwsem(arena, at, LockRank.IRwsem);
    return at;
  });
  const others = [10, 20].map((first) => {
    const other = attachThread(arena, new BlockingDriver(arena));
    tryAcquireRange(other, shared, LockMode.Exclusive, first, first + 1);
    return other;
  });
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
      repeated('range lock, alone', () => {
        tryAcquireRange(task, range, LockMode.Exclusive, 3, 5);
        releaseRange(task, range);
      }),
      repeated('range lock beside two others', () => {
        tryAcquireRange(task, shared, LockMode.Exclusive, 3, 5);
        releaseRange(task, shared);
      }),
      repeated('two-state lock', () => {
        tryAcquireFilling(task, twoState);
        releaseFilling(task, twoState);
      }),
      repeated('reader-biased rwsem shared', () => {
        tryAcquireBiasedShared(task, biased);
        releaseBiasedShared(task, biased);
      }),
      repeated('versioned rwsem exclusive', () => {
        tryAcquireVersioned(task, versioned, 3, 5);
        releaseVersioned(task, versioned);
      }),
      repeated('version of a page, twice', () => {
        const before = versionOf(arena, versioned, 3, 4);
        if (versionOf(arena, versioned, 3, 4) !== before) throw new Error('nobody writes');
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
  const close = (): void => {
    for (const other of others) {
      releaseRange(other, shared);
      detachThread(other);
    }
    detachThread(task);
  };
  return { suite, close };
}
