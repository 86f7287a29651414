/** The races that page.ts argues about, each made to happen at its worst moment. */
import { describe, expect, test } from 'vitest';
import { PageFlag } from '#dist/src/pagecache/page.js';
import { GlobalLock, Header, Inode, Page } from '#dist/src/sync/layout.js';
import { attachThread } from '#dist/src/sync/threads.js';
import type { Frame, Slot } from '#dist/src/units.js';
import { Actor, ManualDriver } from '../support/actor.js';
import { auditCache } from '../support/cache-audit.js';
import { CacheWorld } from '../support/cache-world.js';
import { meanwhileAt } from '../support/interpose.js';

const FILE = 1 as Slot;
const OTHER = 2 as Slot;
const END = 0xffff_ffff;

function stateWord(world: CacheWorld, frame: Frame): number {
  return world.arena.layout.pageRecords + frame * Page.Words + Page.State;
}

/** A cache of one page, which is (FILE, 0), and not pinned. */
function onePage(): { world: CacheWorld; frame: Frame } {
  const world = new CacheWorld({ frames: 1 });
  world.putOnDevice(FILE, 0, 0xaa);
  world.putOnDevice(OTHER, 0, 0xbb);
  const frame = world.read(FILE, 0);
  world.cache.unpin(frame);
  return { world, frame };
}

describe.each(['find', 'findHit'] as const)('%s finds a page, and before it can pin it', (kind) => {
  const find = ({ cache, task }: CacheWorld): Frame =>
    kind === 'find' ? cache.find(FILE, 0) : cache.findHit(task.record, FILE, 0);
  const unpin = ({ cache, task }: CacheWorld, frame: Frame): void =>
    kind === 'find' ? cache.unpin(frame) : cache.unpinHit(task.record, frame);

  test('nothing happens: the page', () => {
    const { world, frame } = onePage();
    expect(find(world)).toBe(frame);
    expect(world.pins(frame)).toBe(1);
    unpin(world, frame);
    expect(world.pins(frame)).toBe(0);
  });

  test('its frame becomes another page: a miss, and the other page is not pinned', () => {
    const { world, frame } = onePage();
    const reuse = (): void => world.cache.unpin(world.read(OTHER, 0));
    expect(meanwhileAt('add', stateWord(world, frame), reuse, () => find(world))).toBe(0);
    expect(world.cache.mappingOf(frame)).toBe(OTHER + 1);
    expect(world.pins(frame)).toBe(0);
    expect(auditCache(world.arena)).toEqual([]);
  });

  test('its frame becomes another page of the same file: a miss', () => {
    const { world, frame } = onePage();
    const reuse = (): void => world.cache.unpin(world.read(FILE, 1));
    expect(meanwhileAt('add', stateWord(world, frame), reuse, () => find(world))).toBe(0);
    expect(world.pins(frame)).toBe(0);
  });

  test('its frame comes back as the same page, being filled: that page, not up to date', () => {
    const { world, frame } = onePage();
    const { cache, task } = world;
    const reuse = (): void => {
      world.run(cache.drop(task, FILE, 0, 1));
      expect(world.run(cache.findOrCreate(task, FILE, 0))).toBe(frame);
    };
    expect(meanwhileAt('add', stateWord(world, frame), reuse, () => find(world))).toBe(frame);
    expect(cache.isUptodate(frame)).toBe(false);
    expect(world.pins(frame)).toBe(2);
  });

  test('its evictor freezes it: a miss, and the evictor is not disturbed', () => {
    const { world, frame } = onePage();
    const evictor = attachThread(world.arena, world.driver);
    const routine = world.cache.findOrCreate(evictor, OTHER, 0);
    const freeze = (): void => expect(routine.next(0).done).toBe(false);
    expect(meanwhileAt('add', stateWord(world, frame), freeze, () => find(world))).toBe(0);
    expect(world.cache.stateOf(frame)).toBe(PageFlag.Frozen);
    expect(find(world)).toBe(0);
    expect(routine.next(0)).toEqual({ done: true, value: frame });
    expect(world.pins(frame)).toBe(1);
    world.cache.abandon(evictor, OTHER, frame, 0);
    expect(auditCache(world.arena)).toEqual([]);
  });

  test('it is dropped and its frame free: a miss, and the frame stays free', () => {
    const { world, frame } = onePage();
    const drop = (): void => world.run(world.cache.drop(world.task, FILE, 0, END));
    expect(meanwhileAt('add', stateWord(world, frame), drop, () => find(world))).toBe(0);
    expect(world.cache.stateOf(frame)).toBe(PageFlag.Frozen);
    expect(auditCache(world.arena)).toEqual([]);
    expect(world.read(FILE, 0)).toBe(frame);
  });

  test('it is dropped while pinned by others, who unpin before the finder does: the finder frees it', () => {
    const { world, frame } = onePage();
    const { cache } = world;
    const pinned = cache.find(FILE, 0);
    const drop = (): void => world.run(cache.drop(world.task, FILE, 0, END));
    const found = meanwhileAt(
      'sub',
      stateWord(world, frame),
      () => cache.unpin(pinned),
      () => meanwhileAt('add', stateWord(world, frame), drop, () => find(world)),
    );
    expect(found).toBe(0);
    expect(cache.stateOf(frame)).toBe(PageFlag.Frozen);
    expect(auditCache(world.arena)).toEqual([]);
  });

  test('it is dropped while pinned by others, who keep it: a miss', () => {
    const { world, frame } = onePage();
    const pinned = world.cache.find(FILE, 0);
    const drop = (): void => world.run(world.cache.drop(world.task, FILE, 0, END));
    expect(meanwhileAt('add', stateWord(world, frame), drop, () => find(world))).toBe(0);
    expect(world.pins(frame)).toBe(1);
    expect(world.frames.bytes(pinned)[0]).toBe(0xaa);
    world.cache.unpin(pinned);
    expect(world.cache.stateOf(frame)).toBe(PageFlag.Frozen);
  });
});

test('a fill comes to a page that is dropped before it can lock it: it makes a new one', () => {
  const world = new CacheWorld({ frames: 4 });
  world.putOnDevice(FILE, 0, 0xaa);
  const { cache, task } = world;
  const abandoned = world.run(cache.findOrCreate(task, FILE, 0));
  cache.unlockPage(task, abandoned);
  const drop = (): void => world.run(cache.drop(attachThread(world.arena, world.driver), FILE, 0, END));
  meanwhileAt('or', stateWord(world, abandoned), drop, () => world.run(cache.fill(task, FILE, 0, 1)));
  const frame = cache.find(FILE, 0);
  expect(frame).not.toBe(abandoned);
  expect(world.frames.bytes(frame)[0]).toBe(0xaa);
  cache.unpin(frame);
  cache.unpin(abandoned);
  expect(auditCache(world.arena)).toEqual([]);
});

describe('the last unpin of a detached page', () => {
  test('meets a pin that came too late: that one frees the frame, once', () => {
    const { world, frame } = onePage();
    const { cache, task } = world;
    const pinned = cache.find(FILE, 0);
    world.run(cache.drop(task, FILE, 0, END));
    const latecomer = (): void => cache.pin(frame);
    meanwhileAt('compareExchange', stateWord(world, frame), latecomer, () => cache.unpin(pinned));
    expect(world.flags(frame) & PageFlag.Detached).toBe(PageFlag.Detached);
    expect(world.arena.words[Header.DetachedHead]).toBe(0);
    cache.unpin(frame);
    expect(world.arena.words[Header.DetachedHead]).toBe(frame);
    expect(auditCache(world.arena)).toEqual([]);
  });

  test('meets one that came and went: the frame is free once', () => {
    const { world, frame } = onePage();
    const { cache, task } = world;
    const pinned = cache.find(FILE, 0);
    world.run(cache.drop(task, FILE, 0, END));
    const passer = (): void => {
      cache.pin(frame);
      cache.unpin(frame);
    };
    meanwhileAt('compareExchange', stateWord(world, frame), passer, () => cache.unpin(pinned));
    expect(auditCache(world.arena)).toEqual([]);
    expect(world.read(FILE, 0)).toBe(frame);
  });

  test('two frames are freed at once: both are there', () => {
    const world = new CacheWorld({ frames: 2 });
    const { cache, task } = world;
    const pinned = [world.read(FILE, 0), world.read(FILE, 1)];
    world.run(cache.drop(task, FILE, 0, END));
    const other = (): void => cache.unpin(pinned[1]);
    meanwhileAt('compareExchange', Header.DetachedHead, other, () => cache.unpin(pinned[0]));
    expect(auditCache(world.arena)).toEqual([]);
    expect([world.read(OTHER, 0), world.read(OTHER, 1)].sort()).toEqual([1, 2]);
  });
});

describe('eviction', () => {
  test.each([
    ['pinned', (world: CacheWorld) => void world.cache.find(FILE, 0)],
    ['dirtied', (world: CacheWorld) => world.write(FILE, 0, 1)],
  ])('of a page that is %s at that moment takes another one', (_what, meanwhile) => {
    const world = new CacheWorld({ frames: 2 });
    const victim = world.read(FILE, 0);
    world.cache.unpin(victim);
    world.cache.unpin(world.read(FILE, 1));
    const create = (): Frame => world.read(OTHER, 0);
    const got = meanwhileAt('compareExchange', stateWord(world, victim), () => meanwhile(world), create);
    expect(got).not.toBe(victim);
    expect(world.isCached(FILE, 0)).toBe(true);
    world.cache.unpin(got);
    expect(auditCache(world.arena)).toEqual([]);
  });
});

describe('insertion', () => {
  test('finds that somebody else inserted the page: that one, and the frame goes back', () => {
    const world = new CacheWorld({ frames: 4 });
    const { cache, arena } = world;
    const other = attachThread(arena, world.driver);
    let theirs = 0;
    const reclaimLock = arena.layout.locks + GlobalLock.Reclaim;
    const mine = meanwhileAt(
      'compareExchange',
      reclaimLock,
      () => {
        theirs = world.run(cache.findOrCreate(other, FILE, 0));
      },
      () => world.run(cache.findOrCreate(world.task, FILE, 0)),
    );
    expect(cache.created).toBe(false);
    expect(mine).toBe(theirs);
    expect(world.pins(mine)).toBe(2);
    cache.unpin(mine);
    cache.abandon(other, FILE, mine, 0);
    expect(auditCache(arena)).toEqual([]);
  });
});

describe('the dirty list', () => {
  function underWriteback(world: CacheWorld): Frame {
    const { cache, task } = world;
    world.putOnDevice(FILE, 0, 0);
    world.write(FILE, 0, 1);
    const frame = cache.find(FILE, 0);
    cache.tryLockPage(task, frame);
    cache.startWriteback(task, FILE, frame);
    return frame;
  }

  test.each(['or', 'compareExchange'] as const)('a page dirtied while its writeback ends, before %s', (operation) => {
    const world = new CacheWorld();
    const { cache, task, arena } = world;
    const frame = underWriteback(world);
    const end = (): void => cache.endWriteback(task, FILE, Int32Array.of(frame), 0, 1, false);
    const listLock = arena.layout.inodeRecords + FILE * Inode.Words + Inode.ListLock;
    const word = operation === 'or' ? stateWord(world, frame) : listLock;
    meanwhileAt(operation, word, end, () => cache.markDirty(task, FILE, frame));
    expect(world.flags(frame) & (PageFlag.Dirty | PageFlag.Writeback)).toBe(PageFlag.Dirty);
    expect(cache.dirtyPagesOf(FILE)).toBe(1);
    expect(auditCache(arena)).toEqual([]);
    cache.unlockPage(task, frame);
    cache.unpin(frame);
  });
});

describe('waiting', () => {
  test.each(['load', 'compareExchange', 'or'] as const)(
    'the page is unlocked right before the waiter’s %s',
    (operation) => {
      const driver = new ManualDriver();
      const world = new CacheWorld({ driver });
      const { cache, task, arena } = world;
      const frame = world.read(FILE, 0);
      cache.tryLockPage(task, frame);
      const waiter = new Actor(arena, driver);
      const unlock = (): void => cache.unlockPage(task, frame);
      const locked = meanwhileAt(operation, stateWord(world, frame), unlock, () =>
        waiter.start(cache.lockPage(waiter.task, frame)),
      );
      expect(locked).toBe(true);
      cache.unlockPage(waiter.task, frame);
      cache.unpin(frame);
    },
  );
});
