import { beforeEach, describe, expect, test } from 'vitest';
import { AssertionError } from '#dist/src/assert.js';
import type { Arena } from '#dist/src/sync/arena.js';
import { GlobalLock, Rwsem, Thread } from '#dist/src/sync/layout.js';
import { LockRank } from '#dist/src/sync/lockdep.js';
import {
  acquireBiasedExclusive,
  acquireBiasedShared,
  isBiased,
  releaseBiasedExclusive,
  releaseBiasedShared,
  tryAcquireBiasedExclusive,
  tryAcquireBiasedShared,
} from '#dist/src/sync/reader-biased.js';
import { holdsExclusive, initRwsem } from '#dist/src/sync/rwsem.js';
import { Actor, ManualDriver } from '../support/actor.js';
import { makeArena } from '../support/arena.js';
import { meanwhileAt } from '../support/interpose.js';

let arena: Arena;
let driver: ManualDriver;
let lock: number;
let actors: Actor[];

beforeEach(() => {
  arena = makeArena();
  driver = new ManualDriver();
  lock = arena.layout.locks + GlobalLock.Names;
  initRwsem(arena, lock, LockRank.IRwsem);
  actors = Array.from({ length: 6 }, () => new Actor(arena, driver));
});

const read = (actor: Actor): boolean => actor.start(acquireBiasedShared(actor.task, lock));
const write = (actor: Actor): boolean => actor.start(acquireBiasedExclusive(actor.task, lock));
const endRead = (actor: Actor): void => releaseBiasedShared(actor.task, lock);
const endWrite = (actor: Actor): void => releaseBiasedExclusive(actor.task, lock);
const proceed = (): number[] => actors.flatMap((actor, i) => (actor.isAsleep && actor.go() ? [i] : []));
const lockWords = (): number[] => [...arena.words.subarray(lock, lock + Rwsem.Words)];

function expectNothingHeld(): void {
  for (const { task } of actors) {
    expect(arena.words[task.record + Thread.HeldDepth]).toBe(0);
    expect([...arena.words.subarray(task.record + Thread.BiasedReads, task.record + Thread.BiasTurn)]).toEqual([
      0, 0, 0, 0,
    ]);
    task.lockdep!.assertNothingHeld();
  }
  expect(arena.words[lock + Rwsem.State]).toBe(0);
}

describe('a reader-biased rwsem', () => {
  test('readers change no word of the lock while it is biased', () => {
    const before = lockWords();
    const [a, b] = actors;
    expect([read(a), read(b)]).toEqual([true, true]);
    expect(lockWords()).toEqual(before);
    endRead(b);
    endRead(a);
    expect(lockWords()).toEqual(before);
    expect(driver.woken).toEqual([]);
    expectNothingHeld();
  });

  test('a writer revokes the bias and waits for each reader; readers that come meanwhile wait for the writer', () => {
    const [a, b, w, c] = actors;
    read(a);
    read(b);
    expect(write(w)).toBe(false);
    expect(isBiased(w.task, lock)).toBe(false);
    expect(read(c)).toBe(false);
    endRead(b);
    expect(proceed()).toEqual([]);
    endRead(a);
    expect(proceed()).toEqual([2]);
    expect(holdsExclusive(w.task, lock)).toBe(true);
    endWrite(w);
    expect(proceed()).toEqual([3]);
    endRead(c);
    expectNothingHeld();
  });

  test('a try for writing fails where readers are inside, and leaves them the bias', () => {
    const [a, w, b] = actors;
    read(a);
    expect(tryAcquireBiasedExclusive(w.task, lock)).toBe(false);
    expect(isBiased(w.task, lock)).toBe(true);
    read(b);
    endRead(a);
    expect(tryAcquireBiasedExclusive(w.task, lock)).toBe(false);
    endRead(b);
    expect(tryAcquireBiasedExclusive(w.task, lock)).toBe(true);
    expect(tryAcquireBiasedShared(a.task, lock)).toBe(false);
    endWrite(w);
    expectNothingHeld();
  });

  test('the bias comes back after nine times what the revocation took', () => {
    const [a, w] = actors;
    read(a);
    write(w);
    driver.nowMs += 2;
    endRead(a);
    proceed();
    endWrite(w);
    const turns = (): void => {
      for (let i = 0; i < 16; i++) {
        read(a);
        endRead(a);
      }
    };
    driver.nowMs += 17;
    turns();
    expect(isBiased(a.task, lock)).toBe(false);
    driver.nowMs += 1.1;
    turns();
    expect(isBiased(a.task, lock)).toBe(true);
    expectNothingHeld();
  });

  test('a time from before the clock wrapped keeps no lock unbiased', () => {
    const [a, w] = actors;
    write(w);
    endWrite(w);
    driver.nowMs += 2 ** 21 + 1000;
    for (let i = 0; i < 16; i++) {
      read(a);
      endRead(a);
    }
    expect(isBiased(a.task, lock)).toBe(true);
  });

  test('who holds as many locks as it has slots takes the next one as an rwsem', () => {
    const [{ task }] = actors;
    const locks = Array.from({ length: 5 }, (_, i) => arena.layout.inodeRecords + 8 * i);
    for (const [i, at] of locks.entries()) {
      initRwsem(arena, at, (i + 1) as LockRank);
      expect(tryAcquireBiasedShared(task, at)).toBe(true);
    }
    expect(locks.map((at) => arena.words[at + Rwsem.State] !== 0)).toEqual([false, false, false, false, true]);
    for (const at of locks) releaseBiasedShared(task, at);
    expectNothingHeld();
  });

  test('a writer that is thrown out while it waits leaves the lock free and biased', () => {
    const [a, w] = actors;
    read(a);
    write(w);
    expect(() => w.fail(new Error('fenced'))).toThrow('fenced');
    expect(isBiased(w.task, lock)).toBe(true);
    endRead(a);
    expectNothingHeld();
  });

  test('a reader that publishes itself while the bias goes takes its slot back, and waits', () => {
    const [r, w] = actors;
    const slot = r.task.record + Thread.BiasedReads;
    const enter = (): void => expect(tryAcquireBiasedExclusive(w.task, lock)).toBe(true);
    // The writer has looked at the slots, and not found this one, when it is written.
    expect(meanwhileAt('store', slot, enter, () => tryAcquireBiasedShared(r.task, lock))).toBe(false);
    expect(arena.words[slot]).toBe(0);
    endWrite(w);
    expectNothingHeld();
  });

  test('lockdep catches a second hold on either path, an inverted order and a release of nothing', () => {
    const [{ task }] = actors;
    const lower = arena.layout.locks + GlobalLock.InodeTable;
    initRwsem(arena, lower, LockRank.InvalidateLock);
    tryAcquireBiasedShared(task, lock);
    expect(() => tryAcquireBiasedShared(task, lock)).toThrow(/recursive acquisition/);
    expect(() => tryAcquireBiasedExclusive(task, lock)).toThrow(/recursive acquisition/);
    releaseBiasedShared(task, lock);
    tryAcquireBiasedShared(task, lower);
    expect(() => tryAcquireBiasedShared(task, lock)).toThrow(/order inverted/);
    expect(() => tryAcquireBiasedExclusive(task, lock)).toThrow(/order inverted/);
    releaseBiasedShared(task, lower);
    expect(() => releaseBiasedShared(task, lock)).toThrow(AssertionError);
    expectNothingHeld();
  });
});
