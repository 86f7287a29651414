/** Times of waits and holds: what is counted, and under which lock, whatever the order in which locks are given back. */
import { expect, test, vi } from 'vitest';
import { PageLock } from '#dist/src/pagecache/page-lock.js';
import { GlobalLock } from '#dist/src/sync/layout.js';
import { type LockTimeBins, sumLockTimes } from '#dist/src/sync/lock-times.js';
import { LockRank } from '#dist/src/sync/lockdep.js';
import { initMutex, tryLockMutex, unlockMutex } from '#dist/src/sync/mutex.js';
import { acquireExclusive, initRwsem, releaseExclusive, tryAcquireShared } from '#dist/src/sync/rwsem.js';
import { Count, sumStatistics } from '#dist/src/sync/statistics.js';
import type { Frame } from '#dist/src/units.js';
import { Actor, ManualDriver } from '../support/actor.js';
import { makeArena } from '../support/arena.js';

function world() {
  const arena = makeArena({ timesLocks: true });
  const driver = new ManualDriver();
  const names = arena.layout.locks + GlobalLock.Names;
  const growth = arena.layout.locks + GlobalLock.Growth;
  initRwsem(arena, names, LockRank.Names);
  initMutex(arena, growth, LockRank.Growth);
  return { arena, driver, names, growth, first: new Actor(arena, driver), second: new Actor(arena, driver) };
}

const counts = (bins: [number, number][]) => bins.reduce((sum, [, count]) => sum + count, 0);
const countsOf = (times: Record<string, LockTimeBins>) =>
  Object.fromEntries(Object.entries(times).map(([name, { wait, hold }]) => [name, [counts(wait), counts(hold)]]));

test('a store that does not ask has no times, and no room for them', () => {
  const arena = makeArena();
  expect(sumLockTimes(arena)).toBeNull();
  expect(arena.layout.lockTimes).toBe(arena.layout.pageWaits);
  expect(new Actor(arena, new ManualDriver()).task.lockTimes).toBeNull();
});

test('a hold begins when the wait ends, and a failed try is none', () => {
  const { arena, driver, names, first, second } = world();
  let nowMs = 0;
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
  try {
    expect(first.start(acquireExclusive(first.task, names))).toBe(true);
    expect(tryAcquireShared(second.task, names)).toBe(false);
    expect(second.start(acquireExclusive(second.task, names))).toBe(false);
    nowMs = 4;
    driver.nowMs += 4;
    releaseExclusive(first.task, names);
    expect(second.go()).toBe(true);
    nowMs = 5;
    releaseExclusive(second.task, names);
  } finally {
    clock.mockRestore();
  }
  const { wait, hold } = sumLockTimes(arena)!['names lock'];
  const near = (ns: number, ms: number) => expect(Math.abs(ns / 1e6 / ms - 1)).toBeLessThan(1 / 16);
  expect([wait, hold].map((bins) => bins.map(([, count]) => count))).toEqual([[1], [1, 1]]);
  near(wait[0][0], 4);
  near(hold[0][0], 1);
  near(hold[1][0], 4);
});

test('locks given back out of order keep their own times', () => {
  const { arena, names, growth, first } = world();
  let nowMs = 0;
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
  try {
    first.start(acquireExclusive(first.task, names));
    nowMs = 10;
    tryLockMutex(first.task, growth);
    nowMs = 20;
    releaseExclusive(first.task, names);
    nowMs = 110;
    unlockMutex(first.task, growth);
  } finally {
    clock.mockRestore();
  }
  const times = sumLockTimes(arena)!;
  expect(countsOf(times)).toEqual({ 'names lock': [0, 1], 'growth lock': [0, 1] });
  expect(times['names lock'].hold[0][0] / 20e6).toBeCloseTo(1, 0);
  expect(times['growth lock'].hold[0][0] / 100e6).toBeCloseTo(1, 0);
});

test('page locks are timed by their frames, and waiting until a page is unlocked is waiting for its lock', () => {
  const arena = makeArena({ timesLocks: true, verify: false });
  const driver = new ManualDriver();
  const locks = new PageLock(arena);
  const [first, second, third] = [1, 2, 3].map(() => new Actor(arena, driver));
  const [one, two] = [1 as Frame, 2 as Frame];
  let nowMs = 0;
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
  try {
    expect(locks.tryLock(first.task, one)).toBe(true);
    locks.adopt(first.task, two);
    expect(locks.tryLock(second.task, one)).toBe(false);
    expect(second.start(locks.lock(second.task, one))).toBe(false);
    expect(third.start(locks.waitUnlocked(third.task, one))).toBe(false);
    nowMs = 4;
    driver.nowMs += 4;
    locks.unlock(first.task, one);
    expect([third.go(), second.go()]).toEqual([true, true]);
    expect(third.start(locks.waitUnlocked(third.task, two))).toBe(true); // nobody waits where nothing is locked
    nowMs = 5;
    locks.unlock(second.task, one);
    nowMs = 100;
    locks.unlock(first.task, two);
  } finally {
    clock.mockRestore();
  }
  const { wait, hold } = sumLockTimes(arena)!['page lock'];
  const millis = (bins: [number, number][]) => bins.map(([ns, count]) => [Math.round(ns / 1e6), count]);
  expect(millis(wait)).toEqual([[4, 2]]);
  expect(hold.map(([, count]) => count)).toEqual([1, 1, 1]);
  for (const [i, ms] of [1, 4, 100].entries()) expect(Math.abs(hold[i][0] / 1e6 / ms - 1)).toBeLessThan(1 / 16);
  expect(sumStatistics(arena)[Count.LockWaits + LockRank.PageLock]).toBe(2);
});
