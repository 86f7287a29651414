import { beforeEach, describe, expect, test } from 'vitest';
import type { Arena } from '#dist/src/sync/arena.js';
import { GlobalLock, HELD_MAX, Inode, StoreState, Thread } from '#dist/src/sync/layout.js';
import { lockLeaf, tryLockLeaf, unlockLeaf } from '#dist/src/sync/leaf.js';
import { LockMode, LockRank } from '#dist/src/sync/lockdep.js';
import {
  initRwsem,
  releaseExclusive,
  releaseShared,
  tryAcquireExclusive,
  tryAcquireShared,
} from '#dist/src/sync/rwsem.js';
import { Count, count, sumStatistics } from '#dist/src/sync/statistics.js';
import { attachThread, describeHeld, detachThread, fence, popHeld, pushHeld } from '#dist/src/sync/threads.js';
import { Actor, ManualDriver } from '../support/actor.js';
import { makeArena } from '../support/arena.js';

let arena: Arena;
let driver: ManualDriver;

beforeEach(() => {
  arena = makeArena();
  driver = new ManualDriver();
});

describe('the stack of held locks', () => {
  test('follows releases in any order', () => {
    const { task } = new Actor(arena, driver);
    const inode = arena.layout.inodeRecords;
    const locks = [Inode.IRwsem, Inode.InvalidateLock, Inode.MapLock].map((word) => inode + word);
    const ranks = [LockRank.IRwsem, LockRank.InvalidateLock, LockRank.ExtentMap];
    locks.forEach((at, i) => {
      initRwsem(arena, at, ranks[i]);
      if (i === 1) tryAcquireExclusive(task, at);
      else tryAcquireShared(task, at);
    });
    expect(describeHeld(arena, task.thread)).toBe('i_rwsem shared, invalidate_lock, extent-map lock shared');
    expect(() => detachThread(task)).toThrow(/detaches while holding i_rwsem shared/);
    releaseShared(task, locks[0]);
    expect(describeHeld(arena, task.thread)).toBe('extent-map lock shared, invalidate_lock');
    releaseExclusive(task, locks[1]);
    releaseShared(task, locks[2]);
    expect(describeHeld(arena, task.thread)).toBe('nothing');
    detachThread(task);
  });

  test('overflows and underflows into an assertion', () => {
    const { task } = new Actor(arena, driver);
    expect(() => popHeld(task, 640)).toThrow(/does not hold/);
    for (let i = 0; i < HELD_MAX; i++) pushHeld(task, 640 + 8 * i, LockMode.Shared);
    expect(() => pushHeld(task, 320, LockMode.Shared)).toThrow(/more than 32 locks/);
  });
});

describe('the thread registry', () => {
  test('counts stay in the sum when the slot passes to another thread', () => {
    const first = attachThread(arena, driver);
    count(first, Count.Fills, 3);
    detachThread(first);
    const second = attachThread(arena, driver);
    const third = attachThread(arena, driver);
    expect([second.thread, third.thread]).toEqual([0, 1]);
    count(second, Count.Fills);
    count(third, Count.Fills);
    expect(sumStatistics(arena)[Count.Fills]).toBe(5);
  });

  test('a fence wakes every word that somebody sleeps on, and keeps a closed store closed', () => {
    const tasks = [new Actor(arena, driver).task, new Actor(arena, driver).task];
    arena.words[tasks[1].record + Thread.WaitingOn] = 555;
    fence(arena, tasks[0].thread, driver);
    expect(arena.state).toBe(StoreState.Fenced);
    expect(driver.woken).toContain(555);
    const closed = makeArena({ state: StoreState.Closed });
    fence(closed, 0, driver);
    expect(closed.state).toBe(StoreState.Closed);
  });
});

describe('a leaf mutex', () => {
  test('is taken once, and given back by its holder alone', () => {
    const [a, b] = [new Actor(arena, driver).task, new Actor(arena, driver).task];
    const word = arena.layout.locks + GlobalLock.Reclaim;
    lockLeaf(a, word);
    expect(tryLockLeaf(b, word)).toBe(false);
    expect(() => lockLeaf(a, word)).toThrow(/taken twice/);
    expect(() => unlockLeaf(b, word)).toThrow(/released by thread 1/);
  });
});
