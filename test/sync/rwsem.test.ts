import { beforeEach, describe, expect, test } from 'vitest';
import type { Arena } from '#dist/src/sync/arena.js';
import { GlobalLock, Rwsem, Thread } from '#dist/src/sync/layout.js';
import { LockRank } from '#dist/src/sync/lockdep.js';
import {
  acquireExclusive,
  acquireShared,
  holdsExclusive,
  initRwsem,
  isHeldExclusive,
  isHeldShared,
  releaseExclusive,
  releaseShared,
  tryAcquireExclusive,
  tryAcquireShared,
} from '#dist/src/sync/rwsem.js';
import { RWSEM_POLICIES, RwsemState, rwsemPolicyNumber } from '#dist/src/sync/rwsem-policy.js';
import { Count, sumStatistics } from '#dist/src/sync/statistics.js';
import { detachThread } from '#dist/src/sync/threads.js';
import { Actor, ManualDriver } from '../support/actor.js';
import { makeArena } from '../support/arena.js';

let arena: Arena;
let driver: ManualDriver;
let lock: number;
let actors: Actor[];

function setUp(policy: string): void {
  arena = makeArena({ policy: rwsemPolicyNumber(policy) });
  driver = new ManualDriver();
  lock = arena.layout.locks + GlobalLock.Names;
  initRwsem(arena, lock, LockRank.Names);
  actors = Array.from({ length: 8 }, () => new Actor(arena, driver));
}

const read = (actor: Actor): boolean => actor.start(acquireShared(actor.task, lock));
const write = (actor: Actor): boolean => actor.start(acquireExclusive(actor.task, lock));
const endRead = (actor: Actor): void => releaseShared(actor.task, lock);
const endWrite = (actor: Actor): void => releaseExclusive(actor.task, lock);
/** Which of the actors get to run on, in order of their numbers. */
const proceed = (): number[] => actors.flatMap((actor, i) => (actor.isAsleep && actor.go() ? [i] : []));

function expectIdle(): void {
  expect(arena.words[lock + Rwsem.State]).toBe(0);
  expect(arena.words[lock + Rwsem.WaitHead]).toBe(0);
  expect(arena.words[lock + Rwsem.WaitTail]).toBe(0);
  for (const { task } of actors) {
    expect(arena.words[task.record + Thread.HeldDepth]).toBe(0);
    expect(arena.words[task.record + Thread.LeafDepth]).toBe(0);
    task.lockdep?.assertNothingHeld();
    detachThread(task);
  }
}

test('a policy without a name is refused', () => {
  expect(() => rwsemPolicyNumber('fair')).toThrow(/kernel, fifo, reader-preferring/);
});

describe.each(RWSEM_POLICIES)('an rwsem, %s', (policy) => {
  beforeEach(() => setUp(policy));

  test('readers share, a writer is alone, and nobody is notified without need', () => {
    const [a, b, c] = actors;
    expect(read(a) && read(b)).toBe(true);
    expect(isHeldShared(arena, lock)).toBe(true);
    expect(isHeldExclusive(arena, lock)).toBe(false);
    expect(tryAcquireExclusive(c.task, lock)).toBe(false);
    endRead(a);
    endRead(b);
    expect(write(c)).toBe(true);
    expect([holdsExclusive(c.task, lock), holdsExclusive(a.task, lock)]).toEqual([true, false]);
    expect(isHeldExclusive(arena, lock)).toBe(true);
    expect(tryAcquireShared(a.task, lock)).toBe(false);
    expect(tryAcquireExclusive(a.task, lock)).toBe(false);
    endWrite(c);
    expect(holdsExclusive(c.task, lock)).toBe(false);
    expect(arena.words[lock + Rwsem.Generation]).toBe(1);
    expect(driver.woken).toEqual([]);
    expectIdle();
  });

  test('a queued writer gets in when the last reader leaves', () => {
    const [a, b, w] = actors;
    read(a);
    read(b);
    expect(write(w)).toBe(false);
    endRead(a);
    expect(proceed()).toEqual([]);
    endRead(b);
    expect(driver.woken).toEqual([w.task.record + Thread.NodeGranted]);
    expect(proceed()).toEqual([2]);
    expect(holdsExclusive(w.task, lock)).toBe(true);
    endWrite(w);
    expectIdle();
  });

  test('queued readers get in together when a writer leaves', () => {
    const [w, a, b, c] = actors;
    write(w);
    expect([read(a), read(b), read(c)]).toEqual([false, false, false]);
    endWrite(w);
    expect(proceed()).toEqual([1, 2, 3]);
    expect(driver.woken.length).toBe(3);
    for (const reader of [a, b, c]) endRead(reader);
    expectIdle();
  });

  test('waits are counted by rank, with their time', () => {
    const [w, a] = actors;
    write(w);
    read(a);
    driver.nowMs += 7;
    endWrite(w);
    proceed();
    const sums = sumStatistics(arena);
    expect(sums[Count.LockWaits + LockRank.Names]).toBe(1);
    expect(sums[Count.LockWaitMs + LockRank.Names]).toBe(7);
    endRead(a);
    expectIdle();
  });

  test('a waiter that is thrown out holds nothing', () => {
    const [w, a] = actors;
    write(w);
    read(a);
    expect(() => a.fail(new Error('fenced'))).toThrow('fenced');
    expect(arena.words[a.task.record + Thread.HeldDepth]).toBe(0);
    a.task.lockdep?.assertNothingHeld();
  });
});

describe('the kernel policy', () => {
  beforeEach(() => setUp('kernel'));

  test('a queued writer holds back new readers', () => {
    const [a, w, b] = actors;
    read(a);
    write(w);
    expect(tryAcquireShared(b.task, lock)).toBe(false);
    expect(read(b)).toBe(false);
    endRead(a);
    expect(proceed()).toEqual([1]);
    endWrite(w);
    expect(proceed()).toEqual([2]);
    endRead(b);
    expectIdle();
  });

  test('readers that queue behind writers come along with a head reader', () => {
    const [w0, r1, w2, r3, w4, r5] = actors;
    write(w0);
    for (const [actor, start] of [
      [r1, read],
      [w2, write],
      [r3, read],
      [w4, write],
      [r5, read],
    ] as const)
      start(actor);
    endWrite(w0);
    expect(proceed()).toEqual([1, 3, 5]);
    for (const reader of [r1, r3, r5]) endRead(reader);
    expect(proceed()).toEqual([2]);
    endWrite(w2);
    expect(proceed()).toEqual([4]);
    endWrite(w4);
    expectIdle();
  });

  test('a running writer takes the free lock ahead of the woken head, until that has waited 4 ms', () => {
    const [w0, head, thief, next] = actors;
    write(w0);
    write(head);
    write(next);
    endWrite(w0);
    // The head is woken and not yet running.
    expect(driver.woken).toEqual([head.task.record + Thread.NodeGranted]);
    expect(write(thief)).toBe(true);
    endWrite(thief);
    expect(driver.woken.length).toBe(1);
    expect(write(thief)).toBe(true);
    expect(proceed()).toEqual([]);
    endWrite(thief);
    expect(driver.woken.length).toBe(2);
    expect(write(thief)).toBe(true);
    driver.nowMs += 5;
    expect(proceed()).toEqual([]);
    // Late: the next release grants the lock, and nobody gets in between.
    endWrite(thief);
    expect(tryAcquireExclusive(thief.task, lock)).toBe(false);
    expect(holdsExclusive(head.task, lock)).toBe(true);
    expect(proceed()).toEqual([1]);
    endWrite(head);
    expect(proceed()).toEqual([3]);
    endWrite(next);
    expectIdle();
  });

  test('a head reader that a writer got ahead of is granted the lock once it is late', () => {
    const [w0, r, thief] = actors;
    write(w0);
    read(r);
    driver.nowMs += 5;
    // The thief comes between the release and the hand-over, which looks at the store's state first.
    const state = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(arena), 'state')!;
    Object.defineProperty(arena, 'state', {
      configurable: true,
      get() {
        Object.defineProperty(arena, 'state', state);
        expect(tryAcquireExclusive(thief.task, lock)).toBe(true);
        return arena.state;
      },
    });
    endWrite(w0);
    expect(holdsExclusive(thief.task, lock)).toBe(true);
    expect(arena.words[lock + Rwsem.State] & RwsemState.Handoff).toBe(RwsemState.Handoff);
    expect(proceed()).toEqual([]);
    endWrite(thief);
    expect(tryAcquireExclusive(thief.task, lock)).toBe(false);
    expect(proceed()).toEqual([1]);
    endRead(r);
    expectIdle();
  });

  test('a kicked head that finds the lock free takes it, whoever queued behind it meanwhile', () => {
    const [w0, head, r] = actors;
    write(w0);
    write(head);
    endWrite(w0);
    expect(read(r)).toBe(false);
    expect(proceed()).toEqual([1]);
    endWrite(head);
    expect(proceed()).toEqual([2]);
    endRead(r);
    expectIdle();
  });
});

describe('the fifo policy', () => {
  beforeEach(() => setUp('fifo'));

  test('all are served in order of arrival; only neighbouring readers go together', () => {
    const [w0, r1, r2, w3, r4, w5] = actors;
    write(w0);
    for (const [actor, start] of [
      [r1, read],
      [r2, read],
      [w3, write],
      [r4, read],
      [w5, write],
    ] as const)
      start(actor);
    endWrite(w0);
    expect(proceed()).toEqual([1, 2]);
    endRead(r2);
    endRead(r1);
    expect(proceed()).toEqual([3]);
    endWrite(w3);
    expect(proceed()).toEqual([4]);
    endRead(r4);
    expect(proceed()).toEqual([5]);
    endWrite(w5);
    expectIdle();
  });

  test('nobody overtakes a granted lock or a queue', () => {
    const [w0, head, thief, r] = actors;
    write(w0);
    write(head);
    endWrite(w0);
    expect(tryAcquireExclusive(thief.task, lock)).toBe(false);
    expect(tryAcquireShared(r.task, lock)).toBe(false);
    expect(holdsExclusive(head.task, lock)).toBe(true);
    expect(proceed()).toEqual([1]);
    endWrite(head);
    expectIdle();
  });
});

describe('the reader-preferring policy', () => {
  beforeEach(() => setUp('reader-preferring'));

  test('readers enter past queued writers', () => {
    const [a, w, b, c] = actors;
    read(a);
    write(w);
    expect(tryAcquireShared(b.task, lock)).toBe(true);
    endRead(a);
    expect(read(c)).toBe(true);
    endRead(b);
    expect(proceed()).toEqual([]);
    endRead(c);
    expect(proceed()).toEqual([1]);
    endWrite(w);
    expectIdle();
  });

  test('a leaving writer lets all queued readers in before any writer', () => {
    const [w0, w1, r2, w3, r4] = actors;
    write(w0);
    for (const [actor, start] of [
      [w1, write],
      [r2, read],
      [w3, write],
      [r4, read],
    ] as const)
      start(actor);
    endWrite(w0);
    expect(proceed()).toEqual([2, 4]);
    endRead(r2);
    endRead(r4);
    expect(proceed()).toEqual([1]);
    endWrite(w1);
    expect(proceed()).toEqual([3]);
    endWrite(w3);
    expectIdle();
  });
});
