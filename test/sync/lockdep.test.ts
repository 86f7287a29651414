import { beforeEach, describe, expect, test } from 'vitest';
import { AssertionError } from '#dist/src/assert.js';
import type { Arena } from '#dist/src/sync/arena.js';
import { GlobalLock, Inode, Page, Rwsem } from '#dist/src/sync/layout.js';
import { LockMode, LockRank } from '#dist/src/sync/lockdep.js';
import { initMutex, lockMutex, tryLockMutex, unlockMutex } from '#dist/src/sync/mutex.js';
import {
  acquireShared,
  initRwsem,
  releaseShared,
  tryAcquireExclusive,
  tryAcquireShared,
} from '#dist/src/sync/rwsem.js';
import { Actor, ManualDriver } from '../support/actor.js';
import { makeArena } from '../support/arena.js';

let arena: Arena;
let actor: Actor;
let iRwsem: number;
let invalidateLock: number;
let inodeTable: number;

beforeEach(() => {
  arena = makeArena();
  actor = new Actor(arena, new ManualDriver());
  iRwsem = arena.layout.inodeRecords + Inode.IRwsem;
  invalidateLock = arena.layout.inodeRecords + Inode.InvalidateLock;
  inodeTable = arena.layout.locks + GlobalLock.InodeTable;
  initRwsem(arena, iRwsem, LockRank.IRwsem);
  initRwsem(arena, invalidateLock, LockRank.InvalidateLock);
  initMutex(arena, inodeTable, LockRank.InodeTable);
});

describe('lockdep', () => {
  test('catches a planted inversion and names both locks, though nobody contends', () => {
    const { task } = actor;
    expect(tryAcquireShared(task, invalidateLock)).toBe(true);
    expect(() => tryAcquireExclusive(task, iRwsem)).toThrow(
      /order inverted: acquiring i_rwsem at \d+ exclusive while holding invalidate_lock at \d+ shared/,
    );
    expect(() => actor.start(acquireShared(task, iRwsem))).toThrow(AssertionError);
    // The lock was not touched.
    expect(arena.words[iRwsem + Rwsem.State]).toBe(0);
  });

  test('catches a planted recursive shared acquisition', () => {
    const { task } = actor;
    tryAcquireShared(task, invalidateLock);
    expect(() => tryAcquireShared(task, invalidateLock)).toThrow(/recursive acquisition.*invalidate_lock.*shared/);
    expect(() => tryAcquireShared(task, invalidateLock, true)).toThrow(/recursive/);
  });

  test('catches two locks of one rank', () => {
    const other = iRwsem + Inode.Words;
    initRwsem(arena, other, LockRank.IRwsem);
    tryAcquireShared(actor.task, iRwsem);
    expect(() => tryAcquireShared(actor.task, other)).toThrow(/inverted/);
  });

  test('lets a lock be tried out of order where the caller will not sleep for it', () => {
    const { task } = actor;
    expect(tryLockMutex(task, inodeTable)).toBe(true);
    expect(tryAcquireShared(task, iRwsem, true)).toBe(true);
    releaseShared(task, iRwsem);
    unlockMutex(task, inodeTable);
    task.lockdep?.assertNothingHeld();
  });

  test('catches a release of what is not held', () => {
    expect(() => releaseShared(actor.task, iRwsem)).toThrow(/releasing i_rwsem/);
    expect(() => unlockMutex(actor.task, inodeTable)).toThrow(/releasing inode-table lock/);
  });

  test('tells read-held from write-held', () => {
    const lockdep = actor.task.lockdep!;
    tryAcquireShared(actor.task, invalidateLock);
    expect(lockdep.holds(LockRank.InvalidateLock, invalidateLock, LockMode.Shared)).toBe(true);
    expect(lockdep.holds(LockRank.InvalidateLock, invalidateLock, LockMode.Exclusive)).toBe(false);
    lockdep.assertHeld(LockRank.InvalidateLock, invalidateLock);
    expect(() => lockdep.assertHeld(LockRank.InvalidateLock, invalidateLock, LockMode.Exclusive)).toThrow(
      /must be held exclusive; held: invalidate_lock at \d+ shared/,
    );
  });

  test('orders pseudo-locks and waits as it does locks', () => {
    const lockdep = actor.task.lockdep!;
    lockdep.acquire(LockRank.JournalHandle, arena.layout.journal, LockMode.Shared, false);
    expect(() => tryAcquireShared(actor.task, invalidateLock)).toThrow(/while holding journal handle/);
    expect(() => lockdep.assertMayWait(LockRank.PageLock, 'writeback')).toThrow(/waiting for writeback/);
    actor.start(lockMutex(actor.task, inodeTable));
    unlockMutex(actor.task, inodeTable);
    lockdep.release(LockRank.JournalHandle, arena.layout.journal);
    lockdep.assertMayWait(LockRank.PageLock, 'writeback');
  });

  test('lets pages be locked in ascending index of one mapping only', () => {
    const lockdep = actor.task.lockdep!;
    const page = (frame: number, mapping: number, index: number): number => {
      const at = arena.layout.pageRecords + frame * Page.Words;
      arena.words[at + Page.Mapping] = mapping;
      arena.unsigned[at + Page.Index] = index;
      return at;
    };
    const lockPage = (at: number, isTry = false): void =>
      lockdep.acquire(LockRank.PageLock, at, LockMode.Exclusive, isTry);
    lockPage(page(1, 3, 5));
    lockPage(page(2, 3, 0xffff_fff0));
    expect(() => lockPage(page(3, 3, 6))).toThrow(/inverted: acquiring page lock/);
    expect(() => lockPage(page(4, 4, 7))).toThrow(/inverted/);
    lockPage(page(3, 3, 6), true);
    expect(() => lockPage(page(2, 3, 0xffff_fff0), true)).toThrow(/recursive/);
  });
});
