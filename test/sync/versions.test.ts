import { beforeEach, describe, expect, test } from 'vitest';
import type { Arena } from '#dist/src/sync/arena.js';
import { GlobalLock } from '#dist/src/sync/layout.js';
import { LockRank } from '#dist/src/sync/lockdep.js';
import { initRwsem } from '#dist/src/sync/rwsem.js';
import { acquireVersioned, releaseVersioned, tryAcquireVersioned } from '#dist/src/sync/versioned-rwsem.js';
import { CHANGING, closeVersions, openVersions, versionOf } from '#dist/src/sync/versions.js';
import { Actor, ManualDriver } from '../support/actor.js';
import { makeArena } from '../support/arena.js';

const KEY = 4711;
const END = 0xffff_fffe;

let arena: Arena;
let a: Actor;
let b: Actor;

beforeEach(() => {
  arena = makeArena({ frames: 4096 });
  const driver = new ManualDriver();
  a = new Actor(arena, driver);
  b = new Actor(arena, driver);
});

describe('versions of ranges', () => {
  test('tell of a change from its first store on, and of its having been', () => {
    const before = versionOf(arena, KEY, 10, 12);
    openVersions(a.task, KEY, 11, 12);
    expect(versionOf(arena, KEY, 10, 12)).toBe(CHANGING);
    closeVersions(a.task, KEY, 11, 12);
    const after = versionOf(arena, KEY, 10, 12);
    expect(after).not.toBe(CHANGING);
    expect(after).not.toBe(before);
    expect(versionOf(arena, KEY, 10, 12)).toBe(after);
  });

  test('see a change anywhere in a long range, and none far from it', () => {
    const before = versionOf(arena, KEY, 0, 256);
    const elsewhere = versionOf(arena, KEY, 1024, 1056);
    openVersions(a.task, KEY, 255, 256);
    expect(versionOf(arena, KEY, 0, 256)).toBe(CHANGING);
    expect(versionOf(arena, KEY, 1024, 1056)).toBe(elsewhere);
    closeVersions(a.task, KEY, 255, 256);
    expect(versionOf(arena, KEY, 0, 256)).not.toBe(before);
  });

  test('count changers: the last one out ends the changing', () => {
    openVersions(a.task, KEY, 0, 4);
    openVersions(b.task, KEY, 3, 9);
    closeVersions(a.task, KEY, 0, 4);
    expect(versionOf(arena, KEY, 0, 1)).toBe(CHANGING);
    closeVersions(b.task, KEY, 3, 9);
    expect(versionOf(arena, KEY, 0, 1)).not.toBe(CHANGING);
  });

  test('take the whole file once each word, wherever it starts', () => {
    for (const first of [0, 17, 5_000_000, END - 1]) {
      openVersions(a.task, KEY, first, END);
      expect(versionOf(arena, KEY, END - 1, END)).toBe(CHANGING);
      closeVersions(a.task, KEY, first, END);
    }
    const { words, layout } = arena;
    for (const word of words.subarray(layout.versions, layout.versions + layout.versionMask + 1)) {
      expect(word & 0xff).toBe(0);
      expect(word >> 8).toBeLessThanOrEqual(4);
    }
  });
});

describe('a versioned rwsem', () => {
  test('opens the versions of the pages it is held for', () => {
    const lock = arena.layout.locks + GlobalLock.Names;
    initRwsem(arena, lock, LockRank.IRwsem);
    const before = versionOf(arena, lock, 40, 41);
    expect(tryAcquireVersioned(a.task, lock, 40, 44)).toBe(true);
    expect(tryAcquireVersioned(b.task, lock, 90, 91)).toBe(false);
    expect(b.start(acquireVersioned(b.task, lock, 90, 91))).toBe(false);
    expect(versionOf(arena, lock, 41, 42)).toBe(CHANGING);
    expect(versionOf(arena, lock, 90, 91)).not.toBe(CHANGING);
    releaseVersioned(a.task, lock);
    expect(versionOf(arena, lock, 40, 41)).toBeGreaterThan(before);
    expect(b.go()).toBe(true);
    expect(versionOf(arena, lock, 90, 91)).toBe(CHANGING);
    releaseVersioned(b.task, lock);
    expect(versionOf(arena, lock, 90, 91)).not.toBe(CHANGING);
    for (const { task } of [a, b]) task.lockdep!.assertNothingHeld();
  });
});
