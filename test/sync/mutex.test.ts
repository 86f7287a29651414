/** The sleeping mutex, step by step. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { Arena } from '#dist/src/sync/arena.js';
import { GlobalLock, Mutex, Thread } from '#dist/src/sync/layout.js';
import { LockRank } from '#dist/src/sync/lockdep.js';
import { holdsMutex, initMutex, lockMutex, tryLockMutex, unlockMutex } from '#dist/src/sync/mutex.js';
import { Actor, ManualDriver } from '../support/actor.js';
import { makeArena } from '../support/arena.js';

let arena: Arena;
let driver: ManualDriver;
let at: number;
let actors: Actor[];

beforeEach(() => {
  arena = makeArena();
  driver = new ManualDriver();
  at = arena.layout.locks + GlobalLock.InodeTable;
  initMutex(arena, at, LockRank.InodeTable);
  actors = Array.from({ length: 4 }, () => new Actor(arena, driver));
});

const lock = (actor: Actor): boolean => actor.start(lockMutex(actor.task, at));
const unlock = ({ task }: Actor): void => unlockMutex(task, at);
const owners = (): number[] => actors.flatMap(({ task }, i) => (holdsMutex(task, at) ? [i] : []));
const proceed = (): number[] => actors.flatMap((actor, i) => (actor.isAsleep && actor.go() ? [i] : []));

describe('a mutex', () => {
  test('nobody is woken while nobody waits', () => {
    const [a, b] = actors;
    expect(lock(a)).toBe(true);
    expect(tryLockMutex(b.task, at)).toBe(false);
    unlock(a);
    expect(driver.woken).toEqual([]);
    expect(tryLockMutex(b.task, at)).toBe(true);
    unlock(b);
    expect(arena.words[at + Mutex.State]).toBe(0);
  });

  test('each that gives it back wakes one of those who wait, to the last', () => {
    const [a, b, c, d] = actors;
    lock(a);
    expect([lock(b), lock(c), lock(d)]).toEqual([false, false, false]);
    let held = a;
    for (let waiting = 3; waiting > 0; waiting--) {
      const wakes = driver.woken.length;
      unlock(held);
      expect(driver.woken.slice(wakes)).toEqual([at + Mutex.State]);
      expect(proceed()).toHaveLength(1);
      expect(owners()).toHaveLength(1);
      held = actors[owners()[0]];
    }
    unlock(held);
    expect(arena.words[at + Mutex.State]).toBe(0);
    for (const { task } of actors) expect(arena.words[task.record + Thread.HeldDepth]).toBe(0);
  });

  test('who comes between the end of a hold and the waiter takes it, and wakes the waiter in its turn', () => {
    const [a, b, c] = actors;
    lock(a);
    lock(b);
    unlock(a);
    expect(tryLockMutex(c.task, at)).toBe(true);
    expect(proceed()).toEqual([]);
    unlock(c);
    expect(proceed()).toEqual([1]);
    unlock(b);
  });
});
