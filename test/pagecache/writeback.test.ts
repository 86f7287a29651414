/** Writeback: order, runs, waiting, errors; and what makes writers wait. */
import { describe, expect, test } from 'vitest';
import { StoreError } from '#dist/src/errors.js';
import { RunKind } from '#dist/src/pagecache/mapping-operations.js';
import { PageFlag } from '#dist/src/pagecache/page.js';
import { type Effect, EffectKind, type Routine } from '#dist/src/routine/effect.js';
import { POINTS } from '#dist/src/routine/points.js';
import { Header, Thread } from '#dist/src/sync/layout.js';
import { Count } from '#dist/src/sync/statistics.js';
import type { Slot } from '#dist/src/units.js';
import { Actor, ManualDriver } from '../support/actor.js';
import { auditCache } from '../support/cache-audit.js';
import { CacheWorld, ioError } from '../support/cache-world.js';

const FILE = 1 as Slot;
const END = 0xffff_ffff;
const WAIT = { wait: true };
const NO_WAIT = { wait: false };

function sync(world: CacheWorld, mapping = FILE): StoreError | null {
  return world.run(world.cache.writeRange(world.task, mapping, 0, END, WAIT));
}

/** Runs a routine, doing its I/O, as far as the named schedule point. */
function runTo(world: CacheWorld, routine: Routine<unknown>, point: (typeof POINTS)[number]): void {
  let answer = 0;
  for (;;) {
    const step = routine.next(answer);
    if (step.done === true) throw new Error(`never came to ${point}`);
    const effect: Effect = step.value;
    if (effect.kind === EffectKind.Point && POINTS[effect.point] === point) return;
    answer = effect.kind === EffectKind.Io ? world.device.write(effect.buffers, effect.positionBytes) : 0;
  }
}

describe('writing back', () => {
  test('new pages: blocks are chosen, written, and only then published', () => {
    const world = new CacheWorld();
    const events = world.mapping.calls;
    world.device.onWrite = (position, length) => {
      events.push(`write ${position / 4096}+${length / 4096}`);
      return undefined;
    };
    for (let i = 0; i < 8; i++) world.write(FILE, 7 - i, 40 + i);
    expect(sync(world)).toBeNull();
    expect(events).toEqual(['mapWrite 1:0+8', `write ${world.mapping.blockOf(FILE, 0)}+8`, 'completeWrite 1:0+8']);
    for (let i = 0; i < 8; i++) expect(world.deviceByte(FILE, 7 - i)).toBe(40 + i);
    expect(world.mapping.reserved).toBe(0);
    const frame = world.cache.find(FILE, 3);
    expect(world.flags(frame)).toBe(PageFlag.Uptodate);
    expect(world.cache.blockOf(frame)).toBe(world.mapping.blockOf(FILE, 3));
    world.cache.unpin(frame);
    expect(world.cache.dirtyPagesOf(FILE)).toBe(0);
    expect(auditCache(world.arena)).toEqual([]);
  });

  test('pages that have blocks are written in place, without asking anybody', () => {
    const world = new CacheWorld();
    for (let i = 0; i < 6; i++) world.putOnDevice(FILE, i, 1);
    for (const i of [0, 1, 2, 4, 5]) world.write(FILE, i, 2);
    world.mapping.calls.length = 0;
    sync(world);
    expect(world.mapping.calls).toEqual([]);
    expect([0, 1, 2, 3, 4, 5].map((i) => world.deviceByte(FILE, i))).toEqual([2, 2, 2, 1, 2, 2]);
    expect(world.statistic(Count.WritebackRuns)).toBe(2);
    expect(world.statistic(Count.WritebackPages)).toBe(5);
  });

  test('a run of mixed pages is cut where blocks end, and where the mapping answers less', () => {
    const world = new CacheWorld();
    world.putOnDevice(FILE, 2, 1);
    world.mapping.setKind(FILE, 3, 2, RunKind.Unwritten);
    world.mapping.runMax = 2;
    for (let i = 0; i < 9; i++) world.write(FILE, i, 50 + i);
    expect(world.mapping.reserved).toBe(6);
    expect(sync(world)).toBeNull();
    expect(world.mapping.calls).toEqual([
      'mapWrite 1:0+2',
      'completeWrite 1:0+2',
      'mapWrite 1:3+6',
      'completeWrite 1:3+2',
      'mapWrite 1:5+4',
      'completeWrite 1:5+2',
      'mapWrite 1:7+2',
      'completeWrite 1:7+2',
    ]);
    for (let i = 0; i < 9; i++) expect(world.deviceByte(FILE, i)).toBe(50 + i);
    expect(world.mapping.reserved).toBe(0);
  });

  test('runs longer than one write are cut', () => {
    const world = new CacheWorld({ frames: 2048, span: 4096 });
    for (let i = 0; i < 1500; i++) world.write(FILE, i, i);
    sync(world);
    expect(world.statistic(Count.WritebackRuns)).toBe(2);
    for (const i of [0, 1023, 1024, 1499]) expect(world.deviceByte(FILE, i)).toBe(i & 0xff);
  });

  test('only the range asked for', () => {
    const world = new CacheWorld();
    for (let i = 0; i < 9; i++) world.write(FILE, i, 9);
    world.run(world.cache.writeRange(world.task, FILE, 3, 5, WAIT));
    expect([2, 3, 4, 5].map((i) => world.deviceByte(FILE, i))).toEqual([0, 9, 9, 0]);
    expect(world.cache.dirtyPagesOf(FILE)).toBe(7);
  });

  test('with wait, locked pages and pages under writeback are waited for; without, passed over', () => {
    const driver = new ManualDriver();
    const world = new CacheWorld({ driver });
    const { cache, arena } = world;
    for (let i = 0; i < 3; i++) {
      world.putOnDevice(FILE, i, 0);
      world.write(FILE, i, 3);
    }
    const holder = new Actor(arena, driver);
    const locked = cache.find(FILE, 0);
    cache.tryLockPage(holder.task, locked);
    const written = cache.find(FILE, 1);
    cache.tryLockPage(holder.task, written);
    cache.startWriteback(holder.task, FILE, written);
    cache.unlockPage(holder.task, written);
    expect(world.run(cache.writeRange(world.task, FILE, 0, END, NO_WAIT))).toBeNull();
    expect([0, 1, 2].map((i) => world.deviceByte(FILE, i))).toEqual([0, 0, 3]);

    const syncer = new Actor(arena, driver);
    expect(syncer.start(cache.writeRange(syncer.task, FILE, 0, END, WAIT))).toBe(false);
    expect(world.flags(locked) & PageFlag.Waiters).toBe(PageFlag.Waiters);
    cache.clearDirty(holder.task, FILE, locked);
    cache.unlockPage(holder.task, locked);
    expect(syncer.go()).toBe(false);
    cache.endWriteback(holder.task, FILE, Int32Array.of(written), 0, 1, false);
    expect(syncer.go()).toBe(true);
    cache.unpin(locked);
    cache.unpin(written);
    expect(auditCache(arena)).toEqual([]);
  });

  test('a page dirtied again while it is written stays dirty, and its new content follows', () => {
    const world = new CacheWorld();
    world.write(FILE, 0, 1);
    const writer = world.cache.writeRange(world.task, FILE, 0, END, NO_WAIT);
    runTo(world, writer, 'writeback:written');
    world.write(FILE, 0, 2);
    // It still has the reservation that the write is about to use up, and must not get a second one.
    expect(world.mapping.reserved).toBe(1);
    world.run(writer);
    expect(world.deviceByte(FILE, 0)).toBe(1);
    expect(world.mapping.reserved).toBe(0);
    expect(world.cache.dirtyPagesOf(FILE)).toBe(1);
    expect(auditCache(world.arena)).toEqual([]);
    sync(world);
    expect(world.deviceByte(FILE, 0)).toBe(2);
  });

  test('a reservation made for a page that got its block at that moment is given back', () => {
    const world = new CacheWorld();
    const { cache, task } = world;
    world.putOnDevice(FILE, 0, 0);
    world.write(FILE, 0, 1);
    const frame = cache.find(FILE, 0);
    cache.tryLockPage(task, frame);
    cache.setReserved(frame);
    world.mapping.reserved++;
    cache.unlockPage(task, frame);
    cache.unpin(frame);
    sync(world);
    expect(world.mapping.reserved).toBe(0);
  });
});

describe('errors', () => {
  test('pages stay dirty and keep content and reservation; blocks go back; each file hears of it once', () => {
    const world = new CacheWorld();
    for (let i = 0; i < 4; i++) world.write(FILE, i, 70 + i);
    const seen = world.cache.errorSequence(FILE);
    world.device.onWrite = () => {
      throw ioError();
    };
    expect(sync(world)?.code).toBe('EIO');
    expect(world.mapping.calls).toEqual(['mapWrite 1:0+4', 'completeWrite 1:0+4 failed']);
    expect(world.mapping.reserved).toBe(4);
    expect(world.cache.dirtyPagesOf(FILE)).toBe(4);
    expect(world.cache.errorSince(FILE, seen)?.code).toBe('EIO');
    expect(world.cache.errorSince(FILE, world.cache.errorSequence(FILE))).toBeNull();
    const frame = world.cache.find(FILE, 2);
    expect(world.flags(frame)).toBe(PageFlag.Uptodate | PageFlag.Dirty | PageFlag.Reserved);
    expect(world.frames.bytes(frame)[5]).toBe(72);
    world.cache.unpin(frame);
    expect(world.pins(frame)).toBe(0);
    expect(world.statistic(Count.WritebackErrors)).toBe(1);
    expect(world.task.words[world.task.record + Thread.PageLocks]).toBe(0);
    expect(auditCache(world.arena)).toEqual([]);
  });

  test('the part of a run that was written before the error is clean', () => {
    const world = new CacheWorld();
    world.mapping.runMax = 2;
    for (let i = 0; i < 6; i++) world.write(FILE, i, 1);
    world.device.onWrite = (position) => {
      if (position === world.mapping.blockOf(FILE, 2) * 4096) throw ioError();
      return undefined;
    };
    expect(sync(world)?.code).toBe('EIO');
    expect(world.cache.dirtyPagesOf(FILE)).toBe(4);
    expect(world.mapping.reserved).toBe(4);
    expect(auditCache(world.arena)).toEqual([]);
  });

  test('running out of space is an error of its own, and passes', () => {
    const world = new CacheWorld();
    world.write(FILE, 0, 1);
    world.mapping.failMapWrite = new StoreError('ENOSPC');
    expect(sync(world)?.code).toBe('ENOSPC');
    expect(world.arena.words[Header.WritebackError]).toBe(28);
    world.mapping.failMapWrite = null;
    expect(sync(world)).toBeNull();
    expect(world.arena.words[Header.WritebackError]).toBe(0);
    expect(world.deviceByte(FILE, 0)).toBe(1);
  });
});

describe('the dirty limit', () => {
  test('a writer above the limit writes back until it is below', () => {
    const world = new CacheWorld({ frames: 64, dirtyRatio: 0.5 });
    for (let i = 0; i < 32; i++) world.write(FILE, i, 1);
    world.run(world.cache.balanceDirty(world.task));
    expect(world.cache.dirtyPagesOf(FILE)).toBe(32);
    expect(world.arena.words[Header.WritebackWork]).toBe(1);
    world.write(FILE, 32, 1);
    world.run(world.cache.balanceDirty(world.task));
    expect(world.arena.words[Header.PagesDirty]).toBeLessThanOrEqual(32);
    expect(world.statistic(Count.Throttles)).toBe(1);
  });

  test('a writer whose dirty pages others write back waits for them', () => {
    const driver = new ManualDriver();
    const world = new CacheWorld({ frames: 8, dirtyRatio: 0.25, driver });
    const { cache, arena } = world;
    const frames = [];
    const holder = new Actor(arena, driver);
    for (let i = 0; i < 3; i++) {
      world.write(FILE, i, 1);
      const frame = cache.find(FILE, i);
      cache.tryLockPage(holder.task, frame);
      cache.startWriteback(holder.task, FILE, frame);
      cache.unlockPage(holder.task, frame);
      frames.push(frame);
    }
    const writer = new Actor(arena, driver);
    expect(writer.start(cache.balanceDirty(writer.task))).toBe(false);
    cache.endWriteback(holder.task, FILE, Int32Array.from(frames), 0, 3, false);
    Atomics.add(arena.words, Header.WritebackWait, 1);
    driver.wake(Header.WritebackWait);
    expect(writer.go()).toBe(true);
  });

  test('a writer above the limit of a device that takes no writes gets the error, at once', () => {
    const world = new CacheWorld({ frames: 16 });
    for (let i = 0; i < 9; i++) world.write(FILE, i, 1);
    world.device.onWrite = () => {
      throw ioError();
    };
    const start = performance.now();
    expect(() => world.run(world.cache.balanceDirty(world.task))).toThrow('EIO');
    expect(() => world.run(world.cache.balanceDirty(world.task))).toThrow('EIO');
    expect(performance.now() - start).toBeLessThan(500);
    expect(world.cache.dirtyPagesOf(FILE)).toBe(9);
  });

  test('old pages are written back though there are few', () => {
    const driver = new ManualDriver();
    const world = new CacheWorld({ dirtyExpireMs: 5000, driver });
    world.write(FILE, 0, 1);
    driver.nowMs += 3000;
    world.write(2, 0, 1);
    expect(world.run(world.cache.backgroundPass(world.task))).toBe(0);
    driver.nowMs += 2500;
    expect(world.run(world.cache.backgroundPass(world.task))).toBe(1);
    expect(world.cache.dirtyPagesOf(FILE)).toBe(0);
    expect(world.cache.dirtyPagesOf(2 as Slot)).toBe(1);
    // Unless somebody waits for frames.
    expect(world.run(world.cache.backgroundPass(world.task))).toBe(0);
    Atomics.store(world.arena.words, Header.FramesWanted, 1);
    expect(world.run(world.cache.backgroundPass(world.task))).toBe(1);
    expect(world.arena.words[Header.FramesWanted]).toBe(0);
  });

  test('above half the limit, mappings are written whole, a chunk at a time', () => {
    const world = new CacheWorld({ frames: 8192, span: 8192 });
    for (let i = 0; i < 2400; i++) world.write(FILE, i, 1);
    world.write(2, 0, 1);
    expect(world.run(world.cache.backgroundPass(world.task))).toBe(2048);
    expect(world.run(world.cache.backgroundPass(world.task))).toBe(352);
    expect(world.run(world.cache.backgroundPass(world.task))).toBe(0);
    expect(world.cache.dirtyPagesOf(FILE)).toBe(0);
    expect(world.cache.dirtyPagesOf(2 as Slot)).toBe(1);
  });

  test('after an error the background leaves the device alone for a while', () => {
    const driver = new ManualDriver();
    const world = new CacheWorld({ frames: 16, driver });
    for (let i = 0; i < 8; i++) world.write(FILE, i, 1);
    world.mapping.failMapWrite = new StoreError('ENOSPC');
    const pass = (): number => world.run(world.cache.backgroundPass(world.task));
    expect(pass()).toBe(0);
    world.mapping.calls.length = 0;
    expect(pass()).toBe(0);
    expect(world.mapping.calls).toEqual([]);
    world.mapping.failMapWrite = null;
    driver.nowMs += 1500;
    expect(pass()).toBe(8);
  });

  test('not all of the cache may be dirty, whatever was asked for', () => {
    const world = new CacheWorld({ frames: 64, dirtyRatio: 1 });
    for (let i = 0; i < 57; i++) world.write(FILE, i, 1);
    world.run(world.cache.balanceDirty(world.task));
    expect(world.arena.words[Header.PagesDirty]).toBeLessThanOrEqual(56);
  });
});

describe('frames when everything is dirty', () => {
  test('who needs one writes back itself', () => {
    const world = new CacheWorld({ frames: 8, dirtyRatio: 1 });
    for (let i = 0; i < 24; i++) world.write(FILE, i, i);
    expect(world.statistic(Count.DirectReclaims)).toBeGreaterThan(0);
    sync(world);
    for (let i = 0; i < 24; i++) expect(world.deviceByte(FILE, i)).toBe(i);
    expect(auditCache(world.arena)).toEqual([]);
  });

  test('who must not write waits, asks the background thread, and gives up in the end', () => {
    const driver = new ManualDriver();
    const world = new CacheWorld({ frames: 8, dirtyRatio: 1, driver });
    for (let i = 0; i < 8; i++) world.write(FILE, i, i);
    const work = world.arena.words[Header.WritebackWork];
    world.task.noWriteback++;
    const routine = world.cache.findOrCreate(world.task, FILE, 9);
    let waits = 0;
    expect(() => {
      for (let step = routine.next(0); !step.done; step = routine.next(1)) {
        if (step.value.kind !== EffectKind.Wait) continue;
        expect(step.value.word).toBe(Header.FramesWait);
        driver.nowMs += step.value.timeoutMs;
        waits++;
      }
    }).toThrow('ENOMEM');
    expect(waits).toBeGreaterThan(100);
    expect(world.arena.words[Header.WritebackWork]).toBeGreaterThan(work);
    expect(world.device.allocatedBytes).toBe(0);
    expect(auditCache(world.arena)).toEqual([]);
  });

  test('dirty metadata are neither evicted nor written', () => {
    const world = new CacheWorld({ frames: 8 });
    const { cache, task } = world;
    for (let i = 0; i < 6; i++) {
      const frame = world.read(0, i);
      world.frames.bytes(frame).fill(i + 1);
      cache.markDirty(task, 0 as Slot, frame);
      cache.unpin(frame);
    }
    for (let i = 0; i < 50; i++) cache.unpin(world.read(FILE, i));
    for (let i = 0; i < 6; i++) {
      const frame = cache.find(0 as Slot, i);
      expect(world.frames.bytes(frame)[0]).toBe(i + 1);
      cache.unpin(frame);
    }
    expect(world.run(cache.writeSome(task, 100))).toBe(0);
    expect(world.arena.words[Header.MetadataDirty]).toBe(6);
    expect(auditCache(world.arena)).toEqual([]);
  });
});
