import { beforeEach, describe, expect, test } from 'vitest';
import { AssertionError } from '#dist/src/assert.js';
import type { Arena } from '#dist/src/sync/arena.js';
import { GlobalLock, RANGES_LISTED, Range, RangeLock, Thread } from '#dist/src/sync/layout.js';
import { LockMode, LockRank } from '#dist/src/sync/lockdep.js';
import { acquireRange, releaseRange, tryAcquireRange } from '#dist/src/sync/range-lock.js';
import { holdsRange } from '#dist/src/sync/ranges.js';
import { initRwsem } from '#dist/src/sync/rwsem.js';
import { Count, sumStatistics } from '#dist/src/sync/statistics.js';
import { Actor, ManualDriver } from '../support/actor.js';
import { makeArena } from '../support/arena.js';
import { seededRandom } from '../support/random.js';

const { Shared, Exclusive } = { Shared: LockMode.Shared, Exclusive: LockMode.Exclusive };
const END = 0xffff_fffe;

let arena: Arena;
let driver: ManualDriver;
let lock: number;
let actors: Actor[];

beforeEach(() => {
  arena = makeArena();
  driver = new ManualDriver();
  lock = arena.layout.locks + GlobalLock.Names;
  initRwsem(arena, lock, LockRank.IRwsem);
  actors = Array.from({ length: 8 }, () => new Actor(arena, driver));
});

const take = (actor: Actor, mode: LockMode, first: number, end: number): boolean =>
  actor.start(acquireRange(actor.task, lock, mode, first, end));
const free = (actor: Actor): void => releaseRange(actor.task, lock);
/** Which of the actors get to run on, in order of their numbers. */
const proceed = (): number[] => actors.flatMap((actor, i) => (actor.isAsleep && actor.go() ? [i] : []));

function expectIdle(): void {
  const { words, layout } = arena;
  expect([words[lock + RangeLock.Sole], words[lock + RangeLock.Head], words[lock + RangeLock.Tail]]).toEqual([0, 0, 0]);
  for (const { task } of actors) {
    expect(words[task.record + Thread.HeldDepth]).toBe(0);
    expect(words[task.record + Thread.LeafDepth]).toBe(0);
    task.lockdep!.assertNothingHeld();
  }
  for (let at = layout.ranges; at < layout.ranges + layout.threads * 4 * Range.Words; at += Range.Words) {
    expect(words[at + Range.Lock]).toBe(0);
  }
}

describe('a range lock', () => {
  test('lets disjoint exclusive ranges run together', () => {
    const [a, b, c] = actors;
    expect([take(a, Exclusive, 0, 10), take(b, Exclusive, 10, 20), take(c, Exclusive, 20, END)]).toEqual([
      true,
      true,
      true,
    ]);
    for (const actor of [b, a, c]) free(actor);
    expect(driver.woken).toEqual([]);
    expectIdle();
  });

  test('is one word for a holder that is alone', () => {
    const [a] = actors;
    take(a, Exclusive, 3, 4);
    expect(arena.words[lock + RangeLock.Sole]).toBeGreaterThan(0);
    expect(arena.words[lock + RangeLock.Head]).toBe(0);
    free(a);
    expectIdle();
  });

  test('keeps overlapping ranges apart where one is exclusive, down to one page', () => {
    const [a, b, c, d] = actors;
    take(a, Exclusive, 5, 10);
    expect(tryAcquireRange(b.task, lock, Shared, 9, 20)).toBe(false);
    expect(tryAcquireRange(b.task, lock, Shared, 0, 6)).toBe(false);
    expect(tryAcquireRange(b.task, lock, Shared, 0, 5)).toBe(true);
    expect(tryAcquireRange(c.task, lock, Shared, 10, 11)).toBe(true);
    expect(tryAcquireRange(d.task, lock, Shared, 0, 5)).toBe(true);
    expect(arena.words[lock + RangeLock.Sole]).toBe(RANGES_LISTED);
    for (const actor of [a, b, c, d]) free(actor);
    expectIdle();
  });

  test('a whole-file range waits for all, and all wait for it', () => {
    const [a, b, w, c] = actors;
    take(a, Shared, 0, 10);
    take(b, Exclusive, 50, 60);
    expect(take(w, Exclusive, 0, END)).toBe(false);
    expect(take(c, Shared, 1000, 1001)).toBe(false);
    free(a);
    expect(proceed()).toEqual([]);
    free(b);
    expect(proceed()).toEqual([2]);
    free(w);
    expect(proceed()).toEqual([3]);
    free(c);
    expectIdle();
  });

  test('a waiting exclusive range holds back later overlapping shared ones, and no others', () => {
    const [reader, writer, later, elsewhere, early] = actors;
    take(reader, Shared, 0, 10);
    expect(take(writer, Exclusive, 8, 12)).toBe(false);
    expect(take(later, Shared, 11, 15)).toBe(false);
    expect(take(elsewhere, Shared, 12, 20)).toBe(true);
    expect(take(early, Shared, 0, 8)).toBe(true);
    free(reader);
    expect(proceed()).toEqual([1]);
    free(writer);
    expect(proceed()).toEqual([2]);
    for (const actor of [later, elsewhere, early]) free(actor);
    expectIdle();
  });

  test('wakes whom it lets in, and nobody else', () => {
    const [a, b, c] = actors;
    take(a, Exclusive, 0, 2);
    take(b, Exclusive, 0, 1);
    take(c, Exclusive, 0, 2);
    free(a);
    expect(driver.woken.length).toBe(1);
    expect(proceed()).toEqual([1]);
    free(b);
    expect(driver.woken.length).toBe(2);
    expect(proceed()).toEqual([2]);
    free(c);
    expectIdle();
  });

  test('says who holds what', () => {
    const [a, b] = actors;
    take(a, Exclusive, 5, 10);
    expect(holdsRange(a.task, lock, Exclusive, 6, 10)).toBe(true);
    expect(holdsRange(a.task, lock, Exclusive, 4, 10)).toBe(false);
    expect(holdsRange(a.task, lock, Exclusive, 5, 11)).toBe(false);
    expect(holdsRange(a.task, lock, Shared, 5, 10)).toBe(false);
    take(b, Exclusive, 9, 12);
    expect(holdsRange(b.task, lock, Exclusive, 9, 12)).toBe(false);
    free(a);
    expect(holdsRange(b.task, lock, Exclusive, 9, 12)).toBe(true);
    proceed();
    free(b);
  });

  test('a waiter that is thrown out holds nothing, and waits are counted', () => {
    const [a, b, c] = actors;
    take(a, Exclusive, 0, 1);
    take(b, Exclusive, 0, 1);
    driver.nowMs += 7;
    free(a);
    proceed();
    const sums = sumStatistics(arena);
    expect([sums[Count.LockWaits + LockRank.IRwsem], sums[Count.LockWaitMs + LockRank.IRwsem]]).toEqual([1, 7]);
    take(c, Shared, 0, 4);
    expect(() => c.fail(new Error('fenced'))).toThrow('fenced');
    expect(arena.words[c.task.record + Thread.HeldDepth]).toBe(0);
    c.task.lockdep!.assertNothingHeld();
  });

  test('lockdep catches a second hold, an inverted order and a release of nothing', () => {
    const [{ task }] = actors;
    const lower = arena.layout.locks + GlobalLock.InodeTable;
    initRwsem(arena, lower, LockRank.InvalidateLock);
    tryAcquireRange(task, lock, Shared, 0, 1);
    expect(() => tryAcquireRange(task, lock, Shared, 5, 6)).toThrow(/recursive acquisition/);
    releaseRange(task, lock);
    tryAcquireRange(task, lower, Exclusive, 0, 1);
    expect(() => tryAcquireRange(task, lock, Shared, 0, 1)).toThrow(/order inverted/);
    expect(() => releaseRange(task, lock)).toThrow(AssertionError);
    // Nothing of it touched the lock.
    expect(arena.words[lock + RangeLock.Sole]).toBe(0);
  });
});

/** Chance decides who asks for what; a model of the rule says who must hold and who must wait. */
test.each([1, 2, 3])('first come, first served among those that conflict, seed %i', (seed) => {
  const random = seededRandom(seed);
  const order: { actor: number; mode: LockMode; first: number; end: number }[] = [];
  const mustHold = (i: number): boolean =>
    order
      .slice(0, i)
      .every(
        (earlier) =>
          earlier.first >= order[i].end ||
          order[i].first >= earlier.end ||
          (earlier.mode === Shared && order[i].mode === Shared),
      );
  for (let step = 0; step < 1200; step++) {
    const actor = Math.floor(random() * actors.length);
    const at = order.findIndex((entry) => entry.actor === actor);
    if (at < 0) {
      const first = Math.floor(random() * 20);
      const entry = {
        actor,
        mode: random() < 0.5 ? Shared : Exclusive,
        first,
        end: first + 1 + Math.floor(random() * 6),
      };
      order.push(entry);
      expect(take(actors[actor], entry.mode, entry.first, entry.end)).toBe(mustHold(order.length - 1));
    } else if (!actors[actor].isAsleep) {
      order.splice(at, 1);
      free(actors[actor]);
      proceed();
      for (const [i, entry] of order.entries()) expect(actors[entry.actor].isAsleep).toBe(!mustHold(i));
    }
  }
  while (order.length > 0) {
    const [{ actor }] = order.splice(0, 1);
    free(actors[actor]);
    proceed();
  }
  expectIdle();
});
