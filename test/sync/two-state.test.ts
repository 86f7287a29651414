import { beforeEach, describe, expect, test } from 'vitest';
import { AssertionError } from '#dist/src/assert.js';
import type { Arena } from '#dist/src/sync/arena.js';
import { GlobalLock, Rwsem, Thread, TwoState } from '#dist/src/sync/layout.js';
import { LockRank } from '#dist/src/sync/lockdep.js';
import { initRwsem } from '#dist/src/sync/rwsem.js';
import { Count, sumStatistics } from '#dist/src/sync/statistics.js';
import {
  acquireFilling,
  acquireInvalidating,
  isInvalidating,
  releaseFilling,
  releaseInvalidating,
  tryAcquireFilling,
  tryAcquireInvalidating,
} from '#dist/src/sync/two-state.js';
import { Actor, ManualDriver } from '../support/actor.js';
import { makeArena } from '../support/arena.js';

let arena: Arena;
let driver: ManualDriver;
let lock: number;
let actors: Actor[];

beforeEach(() => {
  arena = makeArena();
  driver = new ManualDriver();
  lock = arena.layout.locks + GlobalLock.Names;
  initRwsem(arena, lock, LockRank.InvalidateLock);
  actors = Array.from({ length: 8 }, () => new Actor(arena, driver));
});

const fill = (actor: Actor): boolean => actor.start(acquireFilling(actor.task, lock));
const invalidate = (actor: Actor): boolean => actor.start(acquireInvalidating(actor.task, lock));
const endFill = (actor: Actor): void => releaseFilling(actor.task, lock);
const endInvalidate = (actor: Actor): void => releaseInvalidating(actor.task, lock);
const proceed = (): number[] => actors.flatMap((actor, i) => (actor.isAsleep && actor.go() ? [i] : []));

function expectIdle(): void {
  const { words } = arena;
  expect([words[lock + TwoState.State], words[lock + Rwsem.WaitHead], words[lock + Rwsem.WaitTail]]).toEqual([0, 0, 0]);
  for (const { task } of actors) {
    expect(words[task.record + Thread.HeldDepth]).toBe(0);
    expect(words[task.record + Thread.LeafDepth]).toBe(0);
    task.lockdep!.assertNothingHeld();
  }
}

describe('a two-state lock', () => {
  test('takes many fillers, or many invalidators, and never both', () => {
    const [a, b, c, d] = actors;
    expect([fill(a), fill(b)]).toEqual([true, true]);
    expect(tryAcquireInvalidating(c.task, lock)).toBe(false);
    endFill(a);
    endFill(b);
    expect([invalidate(c), invalidate(d)]).toEqual([true, true]);
    expect([isInvalidating(c.task, lock), isInvalidating(a.task, lock)]).toEqual([true, false]);
    expect(tryAcquireFilling(a.task, lock)).toBe(false);
    endInvalidate(c);
    expect(tryAcquireFilling(a.task, lock)).toBe(false);
    endInvalidate(d);
    expect(fill(a)).toBe(true);
    expect(isInvalidating(a.task, lock)).toBe(false);
    endFill(a);
    expect(driver.woken).toEqual([]);
    expectIdle();
  });

  test('a waiting side holds back new ones of the side inside', () => {
    const [a, b, c, d] = actors;
    fill(a);
    expect(invalidate(b)).toBe(false);
    expect(tryAcquireFilling(c.task, lock)).toBe(false);
    expect(fill(c)).toBe(false);
    expect(invalidate(d)).toBe(false);
    endFill(a);
    expect(proceed()).toEqual([1, 3]);
    endInvalidate(b);
    expect(proceed()).toEqual([]);
    endInvalidate(d);
    expect(proceed()).toEqual([2]);
    endFill(c);
    expect(arena.words[lock + TwoState.Turns]).toBe(2);
    expectIdle();
  });

  test('neither side starves: whoever waits gets in after one turn of the other side', () => {
    const [f, i, f2, i2, f3] = actors;
    fill(f);
    invalidate(i);
    fill(f2);
    endFill(f);
    expect(proceed()).toEqual([1]);
    // Both sides keep coming while the other one is inside.
    invalidate(i2);
    fill(f3);
    endInvalidate(i);
    expect(proceed()).toEqual([2, 4]);
    endFill(f2);
    endFill(f3);
    expect(proceed()).toEqual([3]);
    endInvalidate(i2);
    expectIdle();
  });

  test('waits are counted, and a waiter that is thrown out holds nothing', () => {
    const [a, b, c] = actors;
    fill(a);
    invalidate(b);
    driver.nowMs += 5;
    endFill(a);
    proceed();
    const sums = sumStatistics(arena);
    const rank = LockRank.InvalidateLock;
    expect([sums[Count.LockWaits + rank], sums[Count.LockWaitMs + rank]]).toEqual([1, 5]);
    fill(c);
    expect(() => c.fail(new Error('fenced'))).toThrow('fenced');
    expect(arena.words[c.task.record + Thread.HeldDepth]).toBe(0);
    c.task.lockdep!.assertNothingHeld();
  });

  test('lockdep catches a second hold, also on the other side, an inverted order, and a release of nothing', () => {
    const [{ task }] = actors;
    const upper = arena.layout.locks + GlobalLock.InodeTable;
    initRwsem(arena, upper, LockRank.IRwsem);
    tryAcquireFilling(task, lock);
    expect(() => tryAcquireFilling(task, lock)).toThrow(/recursive acquisition/);
    expect(() => tryAcquireInvalidating(task, lock)).toThrow(/recursive acquisition/);
    expect(() => tryAcquireFilling(task, upper)).toThrow(/order inverted/);
    releaseFilling(task, lock);
    expect(() => releaseInvalidating(task, lock)).toThrow(AssertionError);
    expectIdle();
  });
});
