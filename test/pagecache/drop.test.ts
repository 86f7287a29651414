/** Dropping pages in every state that they can be met in. */
import { describe, expect, test } from 'vitest';
import { PageFlag } from '#dist/src/pagecache/page.js';
import { Header, Thread } from '#dist/src/sync/layout.js';
import { Count } from '#dist/src/sync/statistics.js';
import type { Slot } from '#dist/src/units.js';
import { Actor, ManualDriver } from '../support/actor.js';
import { auditCache } from '../support/cache-audit.js';
import { CacheWorld } from '../support/cache-world.js';

const FILE = 1 as Slot;
const END = 0xffff_ffff;

describe('drop', () => {
  test('takes clean pages of the range only, and frees their frames', () => {
    const world = new CacheWorld();
    for (let i = 0; i < 10; i++) world.cache.unpin(world.read(FILE, i));
    for (let i = 0; i < 10; i++) world.cache.unpin(world.read(2, i));
    world.run(world.cache.drop(world.task, FILE, 3, 7));
    expect([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].filter((i) => world.isCached(FILE, i))).toEqual([0, 1, 2, 7, 8, 9]);
    expect(world.cache.pagesOf(FILE)).toBe(6);
    world.run(world.cache.drop(world.task, FILE, 0, END));
    expect(world.cache.pagesOf(FILE)).toBe(0);
    expect(world.cache.pagesOf(2 as Slot)).toBe(10);
    expect(auditCache(world.arena)).toEqual([]);
  });

  test('loses dirty content and gives reservations back', () => {
    const world = new CacheWorld();
    for (let i = 0; i < 6; i++) world.write(FILE, i, 7);
    expect(world.mapping.reserved).toBe(6);
    world.run(world.cache.drop(world.task, FILE, 2, 4));
    expect(world.mapping.reserved).toBe(4);
    world.run(world.cache.drop(world.task, FILE, 0, END));
    expect(world.mapping.reserved).toBe(0);
    expect(world.cache.dirtyPagesOf(FILE)).toBe(0);
    expect(world.arena.words[Header.PagesDirty]).toBe(0);
    expect(world.device.allocatedBytes).toBe(0);
    expect(auditCache(world.arena)).toEqual([]);
  });

  test('a pinned page keeps its content until the last unpin, then its frame is free', () => {
    const world = new CacheWorld({ frames: 4 });
    world.putOnDevice(FILE, 0, 0xaa);
    const frame = world.read(FILE, 0);
    world.cache.pin(frame);
    world.run(world.cache.drop(world.task, FILE, 0, END));
    expect(world.flags(frame)).toBe(PageFlag.Uptodate | PageFlag.Detached);
    expect(world.cache.mappingOf(frame)).toBe(0);
    expect(world.isCached(FILE, 0)).toBe(false);
    // The same page comes back from the device, in another frame, and the cache turns over a few times.
    world.putOnDevice(FILE, 0, 0xbb);
    for (let i = 0; i < 20; i++) {
      const other = world.read(FILE, i);
      expect(other).not.toBe(frame);
      expect(world.frames.bytes(other)[0]).toBe(i === 0 ? 0xbb : 0);
      world.cache.unpin(other);
    }
    expect(world.frames.bytes(frame).every((byte) => byte === 0xaa)).toBe(true);
    world.cache.unpin(frame);
    expect(world.flags(frame)).toBe(PageFlag.Uptodate | PageFlag.Detached);
    expect(auditCache(world.arena)).toEqual([]);
    world.cache.unpin(frame);
    expect(world.flags(frame)).toBe(PageFlag.Frozen);
    expect(world.arena.words[Header.DetachedHead]).toBe(frame);
    expect(auditCache(world.arena)).toEqual([]);
    // A cache of four pages, all pinned: the frame must be among them.
    const pinned = [10, 11, 12, 13].map((i) => world.read(FILE, i));
    expect(pinned).toContain(frame);
  });

  test('a page locked by somebody else is waited for', () => {
    const driver = new ManualDriver();
    const world = new CacheWorld({ driver });
    const { cache, arena } = world;
    const holder = new Actor(arena, driver);
    const dropper = new Actor(arena, driver);
    const frame = world.read(FILE, 0);
    expect(cache.tryLockPage(holder.task, frame)).toBe(true);
    expect(dropper.start(cache.drop(dropper.task, FILE, 0, END))).toBe(false);
    expect(world.flags(frame) & PageFlag.Waiters).toBe(PageFlag.Waiters);
    expect(world.isCached(FILE, 0)).toBe(true);
    cache.unlockPage(holder.task, frame);
    expect(dropper.go()).toBe(true);
    expect(world.isCached(FILE, 0)).toBe(false);
    cache.unpin(frame);
    expect(auditCache(arena)).toEqual([]);
  });

  test('writeback is waited for, with the page locked, and what it wrote is then dropped', () => {
    const driver = new ManualDriver();
    const world = new CacheWorld({ driver });
    const { cache, arena, task } = world;
    world.write(FILE, 0, 5);
    const frame = world.read(FILE, 0);
    cache.tryLockPage(task, frame);
    cache.startWriteback(task, FILE, frame);
    cache.unlockPage(task, frame);
    const dropper = new Actor(arena, driver);
    expect(dropper.start(cache.drop(dropper.task, FILE, 0, 1))).toBe(false);
    expect(world.flags(frame) & (PageFlag.Locked | PageFlag.Writeback)).toBe(PageFlag.Locked | PageFlag.Writeback);
    cache.endWriteback(task, FILE, Int32Array.of(frame), 0, 1, false);
    expect(dropper.go()).toBe(true);
    expect(world.flags(frame) & PageFlag.Detached).toBe(PageFlag.Detached);
    cache.unpin(frame);
    expect(world.mapping.reserved).toBe(0);
    expect(auditCache(arena)).toEqual([]);
    for (const t of [task, dropper.task]) expect(arena.words[t.record + Thread.PageLocks]).toBe(0);
  });

  test('a page being evicted meanwhile is off the list before drop returns', () => {
    const driver = new ManualDriver();
    const world = new CacheWorld({ frames: 1, driver });
    const { cache, arena } = world;
    cache.unpin(world.read(FILE, 0));
    // The evictor stops at its schedule point: frozen, off the list, still in its chain.
    const evictor = new Actor(arena, driver);
    const routine = cache.findOrCreate(evictor.task, FILE, 1);
    expect(routine.next(0).done).toBe(false);
    expect(cache.pagesOf(FILE)).toBe(0);
    world.run(cache.drop(world.task, FILE, 0, END));
    expect(cache.find(FILE, 0)).toBe(0);
    expect(cache.findLocked(world.task, FILE, 0)).toBe(0);
    const step = routine.next(0);
    expect(step.done).toBe(true);
    expect(arena.words[evictor.task.record + Thread.PageLocks]).toBe(1);
    cache.abandon(evictor.task, FILE, 1 as never, 1);
    expect(auditCache(arena)).toEqual([]);
  });

  test('readahead that nobody used counts as wasted', () => {
    const world = new CacheWorld({ frames: 256 });
    world.run(world.cache.fill(world.task, FILE, 0, 8, { required: 1, marker: 4 }));
    expect(world.statistic(Count.ReadaheadIssued)).toBe(7);
    const frame = world.cache.find(FILE, 4);
    expect(world.cache.takeMarker(frame)).toBe(true);
    expect(world.cache.takeMarker(frame)).toBe(false);
    expect(world.cache.touch(frame, world.cache.stateOf(frame))).toBe(true);
    expect(world.cache.touch(frame, world.cache.stateOf(frame))).toBe(false);
    world.cache.unpin(frame);
    world.run(world.cache.drop(world.task, FILE, 0, END));
    expect(world.statistic(Count.ReadaheadWasted)).toBe(6);
  });
});
