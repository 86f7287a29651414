/** Hits, misses and fills. */
import { describe, expect, test } from 'vitest';
import { RunKind } from '#dist/src/pagecache/mapping-operations.js';
import { FREQUENCY_ONE, PageFlag } from '#dist/src/pagecache/page.js';
import { NO_BLOCK, Page, Thread, UNWRITTEN_BLOCK } from '#dist/src/sync/layout.js';
import { Count } from '#dist/src/sync/statistics.js';
import type { Slot } from '#dist/src/units.js';
import { Actor, ManualDriver } from '../support/actor.js';
import { auditCache } from '../support/cache-audit.js';
import { CacheWorld, ioError } from '../support/cache-world.js';

const FILE = 1 as Slot;

describe('hits', () => {
  test('a page is found under its own key only, and pinned once', () => {
    const world = new CacheWorld({ frames: 512 });
    for (let i = 0; i < 100; i++) world.putOnDevice(FILE, i, i);
    for (let i = 0; i < 100; i++) world.cache.unpin(world.read(FILE, i));
    for (let i = 0; i < 100; i++) {
      const frame = world.cache.find(FILE, i);
      expect(frame).not.toBe(0);
      expect(world.frames.bytes(frame)[0]).toBe(i);
      expect(world.pins(frame)).toBe(1);
      world.cache.unpin(frame);
      expect(world.cache.find(2 as Slot, i)).toBe(0);
    }
    expect(world.cache.find(FILE, 100)).toBe(0);
  });

  test('the largest page number is a page like any other', () => {
    const world = new CacheWorld();
    const last = 0xffff_fffd;
    const frame = world.read(FILE, last);
    expect(world.cache.indexOf(frame)).toBe(last);
    expect(world.cache.find(FILE, last)).toBe(frame);
    expect(world.cache.find(FILE, last - 1)).toBe(0);
    world.cache.unpin(frame);
    world.cache.unpin(frame);
    world.run(world.cache.drop(world.task, FILE, last, last + 1));
    expect(auditCache(world.arena)).toEqual([]);
  });

  test('a hit path leaves its pin in the thread record for as long as it has it', () => {
    const world = new CacheWorld();
    const { cache, task } = world;
    const frame = world.read(FILE, 0);
    cache.unpin(frame);
    expect(cache.findHit(task.record, FILE, 0)).toBe(frame);
    expect(task.words[task.record + Thread.HitPin]).toBe(frame);
    expect(world.pins(frame)).toBe(1);
    cache.unpinHit(task.record, frame);
    expect(task.words[task.record + Thread.HitPin]).toBe(0);
    expect(world.pins(frame)).toBe(0);
    expect(cache.findHit(task.record, FILE, 1)).toBe(0);
    expect(task.words[task.record + Thread.HitPin]).toBe(0);
  });

  test('a hit counts for reclaim', () => {
    const world = new CacheWorld();
    const { cache, task } = world;
    const frame = world.read(FILE, 0);
    cache.unpin(frame);
    const before = cache.stateOf(frame) & PageFlag.Frequency;
    cache.findHit(task.record, FILE, 0);
    cache.touch(frame, cache.stateOf(frame));
    cache.unpinHit(task.record, frame);
    expect(cache.stateOf(frame) & PageFlag.Frequency).toBe(before + FREQUENCY_ONE);
  });
});

describe('fills', () => {
  test('holes and unwritten blocks read as zeros, also in a frame that held something', () => {
    const world = new CacheWorld({ frames: 1 });
    world.putOnDevice(FILE, 0, 0xcc);
    world.cache.unpin(world.read(FILE, 0));
    let frame = world.read(FILE, 1);
    expect(world.frames.bytes(frame).every((byte) => byte === 0)).toBe(true);
    expect(world.cache.blockOf(frame)).toBe(NO_BLOCK);
    world.cache.unpin(frame);
    world.cache.unpin(world.read(FILE, 0));
    world.mapping.setKind(FILE, 2, 1, RunKind.Unwritten);
    frame = world.read(FILE, 2);
    expect(world.frames.bytes(frame).every((byte) => byte === 0)).toBe(true);
    expect(world.cache.blockOf(frame)).toBe(UNWRITTEN_BLOCK);
    world.cache.unpin(frame);
  });

  test('several pages take one read, into frames that adjoin', () => {
    const world = new CacheWorld({ frames: 1024 });
    for (let i = 0; i < 32; i++) world.putOnDevice(FILE, i, i + 1);
    const reads: number[] = [];
    world.device.onRead = (_position, length) => {
      reads.push(length);
      return undefined;
    };
    const bytes = world.device.read.bind(world.device);
    let buffers = 0;
    world.device.read = (list, position) => {
      buffers = list.length;
      return bytes(list, position);
    };
    expect(world.run(world.cache.fill(world.task, FILE, 0, 32))).toBe(0);
    expect(reads).toEqual([32 * 4096]);
    expect(buffers).toBe(1);
    for (let i = 0; i < 32; i++) {
      const frame = world.cache.find(FILE, i);
      expect(world.flags(frame)).toBe(PageFlag.Uptodate);
      expect(world.frames.bytes(frame)[4095]).toBe(i + 1);
      expect(world.cache.blockOf(frame)).toBe(world.mapping.blockOf(FILE, i));
      world.cache.unpin(frame);
      expect(world.pins(frame)).toBe(0);
    }
    expect(world.statistic(Count.FillPages)).toBe(32);
    expect(auditCache(world.arena)).toEqual([]);
  });

  test('reads around what is cached, and over changes of kind', () => {
    const world = new CacheWorld({ frames: 1024 });
    for (const i of [0, 1, 2, 3, 6, 7]) world.putOnDevice(FILE, i, i + 1);
    world.write(FILE, 2, 99);
    world.mapping.calls.length = 0;
    world.run(world.cache.fill(world.task, FILE, 0, 9));
    expect(world.mapping.calls).toEqual(['map 1:0+2', 'map 1:3+6', 'map 1:4+5', 'map 1:6+3', 'map 1:8+1']);
    const first = (i: number): number => {
      const frame = world.cache.find(FILE, i);
      world.cache.unpin(frame);
      return world.frames.bytes(frame)[0];
    };
    expect([0, 1, 2, 3, 4, 5, 6, 7, 8].map(first)).toEqual([1, 2, 99, 4, 0, 0, 7, 8, 0]);
    expect(auditCache(world.arena)).toEqual([]);
  });

  test('a required page that somebody else has locked comes back; one read ahead is passed over', () => {
    const driver = new ManualDriver();
    const world = new CacheWorld({ frames: 1024, driver });
    const { cache } = world;
    const other = new Actor(world.arena, driver);
    other.start(cache.findOrCreate(other.task, FILE, 3));
    const theirs = cache.find(FILE, 3);
    cache.unpin(theirs);
    expect(world.run(cache.fill(world.task, FILE, 0, 8, { required: 2 }))).toBe(0);
    expect(world.isCached(FILE, 7)).toBe(true);
    const busy = world.run(cache.fill(world.task, FILE, 2, 4));
    expect(busy).toBe(theirs);
    expect(world.pins(theirs)).toBe(2);
    const waiter = new Actor(world.arena, driver);
    expect(waiter.start(cache.waitUnlocked(waiter.task, busy))).toBe(false);
    cache.markUptodate(theirs);
    cache.unlockPage(other.task, theirs);
    expect(waiter.go()).toBe(true);
    cache.unpin(busy);
    cache.unpin(theirs);
    expect(auditCache(world.arena)).toEqual([]);
  });

  test('a failed read throws, and leaves none of its pages behind', () => {
    const world = new CacheWorld({ frames: 1024 });
    for (let i = 0; i < 8; i++) world.putOnDevice(FILE, i, 1);
    world.mapping.runMax = 4;
    world.device.onRead = (position) => {
      if (position >= world.mapping.blockOf(FILE, 4) * 4096) throw ioError();
      return undefined;
    };
    expect(() => world.run(world.cache.fill(world.task, FILE, 0, 8))).toThrow('EIO');
    expect([0, 3, 4, 7].map((i) => world.isCached(FILE, i))).toEqual([true, true, false, false]);
    expect(auditCache(world.arena)).toEqual([]);
    expect(world.task.words[world.task.record + Thread.PageLocks]).toBe(0);
    world.task.lockdep?.assertNothingHeld();
    world.device.onRead = undefined;
    world.cache.unpin(world.read(FILE, 5));
  });

  test('metadata are verified', () => {
    const world = new CacheWorld();
    world.mapping.onVerify = (block) => {
      if (block === 9) throw new Error('not a block of ours');
    };
    world.cache.unpin(world.read(0, 8));
    expect(() => world.read(0, 9)).toThrow('not a block of ours');
    expect(world.isCached(0, 9)).toBe(false);
  });

  test('a page locked for a partial write is filled in place', () => {
    const world = new CacheWorld();
    const { cache, task } = world;
    world.putOnDevice(FILE, 4, 0x44);
    const frame = world.run(cache.findOrCreate(task, FILE, 4));
    world.run(cache.fillLocked(task, FILE, frame, 4));
    expect(world.flags(frame)).toBe(PageFlag.Uptodate | PageFlag.Locked);
    expect(world.frames.bytes(frame)[100]).toBe(0x44);
    expect(world.word(frame, Page.Block)).toBe(world.mapping.blockOf(FILE, 4));
    cache.unlockPage(task, frame);
    cache.unpin(frame);
  });

  test('a fill takes what frames it can get, but the first page at any price', () => {
    const world = new CacheWorld({ frames: 64 });
    const pinned = [];
    for (let i = 0; i < 63; i++) pinned.push(world.read(2, i));
    expect(world.run(world.cache.fill(world.task, FILE, 0, 32))).toBe(0);
    expect(world.cache.pagesOf(FILE)).toBe(1);
    for (const frame of pinned) world.cache.unpin(frame);
    expect(auditCache(world.arena)).toEqual([]);
  });
});
