/** The transition table itself, and each transition made by the code that owns it. */
import { describe, expect, test } from 'vitest';
import {
  afterTransition,
  assertTransition,
  PageFlag,
  PIN_ONE,
  TRANSITIONS,
  Transition,
} from '#dist/src/pagecache/page.js';
import { INSERTION_ONE, OWNER_MASK, Page } from '#dist/src/sync/layout.js';
import { attachThread } from '#dist/src/sync/threads.js';
import type { Frame, Slot } from '#dist/src/units.js';
import { auditCache } from '../support/cache-audit.js';
import { CacheWorld } from '../support/cache-world.js';

const FILE = 1 as Slot;
const UPTODATE = PageFlag.Uptodate;

describe('the table', () => {
  test('every transition is refused where its rule says so, and allowed otherwise', () => {
    for (let transition = 0; transition < TRANSITIONS.length; transition++) {
      const rule = TRANSITIONS[transition];
      const pins = rule.pins === 'none' ? 0 : PIN_ONE;
      const allowed = rule.needs | pins;
      expect(() => assertTransition(transition, allowed, 1), rule.name).not.toThrow();
      for (let flag = 1; flag < PIN_ONE; flag <<= 1) {
        if ((rule.needs & flag) !== 0)
          expect(() => assertTransition(transition, allowed & ~flag, 1), rule.name).toThrow(rule.name);
        if ((rule.excludes & flag) !== 0)
          expect(() => assertTransition(transition, allowed | flag, 1), rule.name).toThrow(rule.name);
      }
      if (rule.pins === 'none') expect(() => assertTransition(transition, allowed | PIN_ONE, 1)).toThrow();
      if (rule.pins === 'some') expect(() => assertTransition(transition, allowed & ~PIN_ONE, 1)).toThrow();
    }
  });

  test('a message says what the page was', () => {
    const state = PageFlag.Dirty | PageFlag.Uptodate | (2 * PIN_ONE) | 0x40;
    expect(() => assertTransition(Transition.Evict, state, 7)).toThrow(
      "page frame 7: 'evict' from a page with Uptodate|Dirty, frequency 2, 2 pins",
    );
  });

  test('freezing leaves nothing but Frozen', () => {
    expect(afterTransition(Transition.Evict, UPTODATE | 0x60 | PageFlag.Readahead)).toBe(PageFlag.Frozen);
    expect(afterTransition(Transition.Free, UPTODATE | PageFlag.Detached)).toBe(PageFlag.Frozen);
  });
});

describe('the transitions', () => {
  function created(world: CacheWorld, index = 0): Frame {
    const frame = world.run(world.cache.findOrCreate(world.task, FILE, index));
    expect(world.cache.created).toBe(true);
    return frame;
  }

  test('insert: locked, pinned, nothing else, owned by its inserter', () => {
    const world = new CacheWorld();
    const frame = created(world);
    expect(world.flags(frame)).toBe(PageFlag.Locked);
    expect(world.pins(frame)).toBe(1);
    expect(world.word(frame, Page.Owner) & OWNER_MASK).toBe(world.task.thread + 1);
    expect(world.cache.mappingOf(frame)).toBe(FILE + 1);
    expect(world.cache.pagesOf(FILE)).toBe(1);
    expect(auditCache(world.arena)).toEqual([]);
  });

  test('insert keeps a stray pin of somebody who came too late', () => {
    const world = new CacheWorld();
    const frame = created(world, 3);
    world.cache.abandon(world.task, FILE, frame, 3);
    expect(world.flags(frame)).toBe(PageFlag.Frozen);
    world.cache.pin(frame);
    const again = created(world, 4);
    expect(again).toBe(frame);
    expect(world.word(frame, Page.Owner)).toBe(2 * INSERTION_ONE + world.task.thread + 1);
    expect(world.pins(frame)).toBe(2);
    world.cache.unpin(frame);
    expect(world.flags(frame)).toBe(PageFlag.Locked);
  });

  test('lock and unlock', () => {
    const world = new CacheWorld();
    const { cache, task } = world;
    const frame = created(world);
    const other = attachThread(world.arena, world.driver);
    expect(cache.tryLockPage(other, frame)).toBe(false);
    cache.unlockPage(task, frame);
    expect(world.flags(frame)).toBe(0);
    expect(cache.tryLockPage(other, frame)).toBe(true);
    cache.unlockPage(other, frame);
    expect(world.word(frame, Page.Owner) & OWNER_MASK).toBe(0);
    expect(() => cache.unlockPage(task, frame)).toThrow("'unlock'");
  });

  test('dirty needs content and the lock', () => {
    const world = new CacheWorld();
    const { cache, task } = world;
    const frame = created(world);
    expect(() => cache.markDirty(task, FILE, frame)).toThrow("'make dirty'");
    const other = created(world, 1);
    cache.markUptodate(other);
    cache.unlockPage(task, other);
    expect(() => cache.markDirty(task, FILE, other)).toThrow('without its lock');
  });

  test('dirty, clean again', () => {
    const world = new CacheWorld();
    const { cache, task } = world;
    const frame = created(world);
    cache.markUptodate(frame);
    cache.markDirty(task, FILE, frame);
    cache.markDirty(task, FILE, frame);
    expect(cache.dirtyPagesOf(FILE)).toBe(1);
    expect(auditCache(world.arena)).toEqual([]);
    cache.clearDirty(task, FILE, frame);
    expect(cache.dirtyPagesOf(FILE)).toBe(0);
    expect(auditCache(world.arena)).toEqual([]);
  });

  test('writeback ends clean, dirty where it failed, dirty where it was dirtied meanwhile', () => {
    const world = new CacheWorld();
    const { cache, task } = world;
    for (const [failed, redirtied] of [
      [false, false],
      [true, false],
      [false, true],
    ]) {
      const frame = created(world, world.cache.pagesOf(FILE));
      const dirtyBefore = cache.dirtyPagesOf(FILE);
      cache.markUptodate(frame);
      cache.markDirty(task, FILE, frame);
      cache.startWriteback(task, FILE, frame);
      expect(world.flags(frame)).toBe(UPTODATE | PageFlag.Writeback | PageFlag.Locked);
      expect(cache.dirtyPagesOf(FILE)).toBe(dirtyBefore + 1);
      if (redirtied) cache.markDirty(task, FILE, frame);
      cache.unlockPage(task, frame);
      cache.endWriteback(task, FILE, Int32Array.of(frame), 0, 1, failed);
      expect(world.flags(frame)).toBe(UPTODATE | (failed || redirtied ? PageFlag.Dirty : 0));
      expect(cache.dirtyPagesOf(FILE)).toBe(dirtyBefore + (failed || redirtied ? 1 : 0));
      expect(auditCache(world.arena)).toEqual([]);
    }
  });

  test('detach needs the lock and no writeback', () => {
    const world = new CacheWorld();
    const { cache, task } = world;
    const frame = created(world);
    cache.markUptodate(frame);
    cache.markDirty(task, FILE, frame);
    cache.startWriteback(task, FILE, frame);
    expect(() => cache.abandon(task, FILE, frame, 0)).toThrow("'detach'");
  });

  test('counting uses stops at three and never spills', () => {
    const world = new CacheWorld();
    const { cache } = world;
    const frame = world.read(FILE, 0);
    for (let i = 0; i < 9; i++) expect(cache.touch(frame, cache.stateOf(frame))).toBe(false);
    expect(world.flags(frame)).toBe(UPTODATE | PageFlag.Frequency);
  });
});
