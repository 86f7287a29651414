import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HotPath } from '#dist/src/file/hot-path.js';
import { PageCopier } from '#dist/src/file/page-copier.js';
import { truncate } from '#dist/src/file/truncate.js';

import { Operation, type SchemeName } from '#dist/src/locking/scheme.js';
import { PageFlag } from '#dist/src/pagecache/page.js';
import { Thread } from '#dist/src/sync/layout.js';
import { Count, sumStatistics } from '#dist/src/sync/statistics.js';
import { expectBytes, FileWorld, pattern } from '../support/file-world.js';

const B = 4096;

function setUp(scheme: SchemeName = 'invalidate-lock', pages = 8, optimistic = process.arch === 'x64') {
  const world = new FileWorld({ scheme });
  const slot = world.create();
  const bytes = pattern(1, pages * B);
  world.write(slot, bytes, 0);
  const { task } = world;
  const { engine } = world;
  const hot = new HotPath(engine, new PageCopier(engine.arena, engine.frames, engine.cache.lookup, B, optimistic));
  return {
    world,
    slot,
    bytes,
    read: (target: Uint8Array, offset: number, length: number, position: number) =>
      hot.readHit(task, slot, target, offset, length, position),
    write: (source: Uint8Array, offset: number, length: number, position: number) =>
      hot.writeHit(task, slot, source, offset, length, position),
  };
}

describe.each([true, false])('readHit, optimistic: %s', (optimistic) => {
  it('gives the bytes of any length at any alignment, again and again', () => {
    const { read, bytes } = setUp('invalidate-lock', 8, optimistic);
    const target = new Uint8Array(3 * B + 100);
    for (const length of [0, 1, 3, 4, 16, 60, 64, 65, 128, 252, 255, 256, 257, 1000, B, B + 1, 3 * B]) {
      for (const position of [0, 1, 4, B - 4, B - 3, 2 * B + 8]) {
        for (const offset of [0, 4, 5]) {
          target.fill(0xee);
          expect(read(target, offset, length, position)).toBe(length);
          expectBytes(target.subarray(offset, offset + length), bytes.subarray(position, position + length));
          expect(target[offset + length]).toBe(0xee);
          if (offset > 0) expect(target[offset - 1]).toBe(0xee);
        }
      }
    }
  });

  it('fills targets of every kind', () => {
    const { read, bytes } = setUp('invalidate-lock', 8, optimistic);
    const shared = new SharedArrayBuffer(200);
    const targets = [
      Buffer.alloc(64),
      Buffer.from(new ArrayBuffer(100), 3, 64),
      new Uint8Array(shared, 8, 64),
      new Uint8Array(new ArrayBuffer(66), 1, 65),
    ];
    for (const target of targets) {
      for (let i = 0; i < 3; i++) {
        target.fill(0);
        expect(read(target, 0, 64, i * 100)).toBe(64);
        expectBytes(target.subarray(0, 64), bytes.subarray(i * 100, i * 100 + 64));
      }
    }
  });

  it('stops at the end of the file', () => {
    const { world, slot, read } = setUp('invalidate-lock', 8, optimistic);
    world.run(truncate(world.task, world.engine, slot, 2 * B + 10));
    const target = new Uint8Array(8 * B);
    expect(read(target, 0, 8 * B, 0)).toBe(2 * B + 10);
    expect(read(target, 0, 100, 2 * B)).toBe(10);
    expect(read(target, 0, 100, 2 * B + 10)).toBe(0);
    expect(read(target, 0, 100, 5 * B)).toBe(-1);
  });

  it('gives what there is before a missing page, or -1', () => {
    const { world, slot, read } = setUp('invalidate-lock', 8, optimistic);
    world.evict(slot);
    world.read(slot, 0, 2 * B);
    const target = new Uint8Array(8 * B);
    expect(read(target, 0, 8 * B, 0)).toBe(2 * B);
    expect(read(target, 0, 10, 3 * B)).toBe(-1);
  });

  it('gives all or nothing where the scheme locks it', () => {
    const { world, slot, read } = setUp('i-rwsem', 8, optimistic);
    const target = new Uint8Array(8 * B);
    expect(read(target, 0, 8 * B, 0)).toBe(8 * B);
    world.evict(slot);
    world.read(slot, 0, 2 * B);
    expect(read(target, 0, 8 * B, 0)).toBe(-1);
    expect(read(target, 0, B, 0)).toBe(B);
    world.run(truncate(world.task, world.engine, slot, B + 10));
    expect(read(target, 0, 8 * B, 0)).toBe(B + 10);
    const other = world.attach();
    expect(other.engine.guard.tryEnter(other.task, slot, Operation.Write)).toBe(true);
    expect(read(target, 0, 10, 0)).toBe(-1);
    other.engine.guard.leave(other.task, slot, other.engine.guard.maskOf(Operation.Write));
    expect(read(target, 0, 10, 0)).toBe(10);
    world.task.lockdep?.assertNothingHeld();
  });

  it('leaves a page with the readahead marker to the slow path', () => {
    const { world, slot, read } = setUp('invalidate-lock', 8, optimistic);
    world.evict(slot);
    world.run(world.engine.cache.fill(world.task, slot, 0, 4, { marker: 2, required: 1 }));
    const target = new Uint8Array(4 * B);
    expect(read(target, 0, 10, 0)).toBe(10);
    expect(read(target, 0, 10, 2 * B)).toBe(-1);
    const asked: number[][] = [];
    world.engine.requestReadahead = (...window) => asked.push(window);
    world.read(slot, 2 * B, 10);
    expect(read(target, 0, 10, 2 * B)).toBe(10);
  });

  it('counts uses, takes the pin off again, and leaves no trace of it', () => {
    const { world, slot, read } = setUp('invalidate-lock', 8, optimistic);
    world.evict(slot);
    world.run(world.engine.cache.fill(world.task, slot, 0, 2, { required: 1 }));
    const target = new Uint8Array(100);
    for (let i = 0; i < 5; i++) expect(read(target, 0, 100, B)).toBe(100);
    const frame = world.engine.cache.find(slot, 1);
    const state = world.engine.cache.stateOf(frame);
    world.engine.cache.unpin(frame);
    expect(state >>> 12).toBe(1);
    expect(state & PageFlag.Frequency).toBe(PageFlag.Frequency);
    expect(state & PageFlag.Prefetched).toBe(0);
    expect(world.arena.words[world.task.record + Thread.HitPin]).toBe(0);
    const statistics = sumStatistics(world.arena);
    expect(statistics[Count.ReadHits]).toBe(5);
    expect(statistics[Count.ReadaheadUsed]).toBe(1);
  });
});

describe('an optimistic readHit', () => {
  /** A target into which a copy takes so long that something happens meanwhile, whichever way the copy goes. */
  class Slow extends Uint8Array {
    meanwhile = () => {};
    override set(source: ArrayLike<number>, offset?: number): void {
      super.set(source, offset);
      this.meanwhile();
    }
  }
  const { copy } = Buffer.prototype;
  beforeEach(() => {
    Buffer.prototype.copy = function (this: Buffer, target: Uint8Array, ...range: number[]) {
      const copied = copy.call(this, target, ...range);
      if (target instanceof Slow) target.meanwhile();
      return copied;
    };
  });
  afterEach(() => {
    Buffer.prototype.copy = copy;
  });

  it('gives nothing, and leaves nothing, of a frame that became another page meanwhile', () => {
    const { world, slot, read, bytes } = setUp('invalidate-lock', 8, true);
    const other = world.create();
    const target = new Slow(2 * B);
    target.meanwhile = () => {
      world.evict(slot);
      world.write(other, pattern(9, 240 * B), 0);
      world.evict(other);
    };
    expect(read(target, 0, B, 3 * B)).toBe(-1);
    expectBytes(new Uint8Array(target), new Uint8Array(2 * B));
    expectBytes(world.read(slot, 3 * B, B), bytes.subarray(3 * B, 4 * B));
  });

  it('is not fooled when the frame comes back to the same page', () => {
    const { world, slot, read } = setUp('invalidate-lock', 1, true);
    const frame = world.engine.cache.find(slot, 0);
    world.engine.cache.unpin(frame);
    const target = new Slow(B);
    let isBack = false;
    target.meanwhile = () => {
      world.evict(slot);
      world.read(slot, 0, B);
      const now = world.engine.cache.find(slot, 0);
      world.engine.cache.unpin(now);
      isBack = now === frame;
    };
    expect(read(target, 0, B, 0)).toBe(-1);
    expect(isBack).toBe(true);
  });

  it('gives what was there when the page is only taken out of the cache meanwhile', () => {
    const { world, slot, read, bytes } = setUp('invalidate-lock', 2, true);
    const target = new Slow(B);
    target.meanwhile = () => world.evict(slot);
    expect(read(target, 0, B, B)).toBe(B);
    expectBytes(new Uint8Array(target), bytes.subarray(B));
  });
});

describe('writeHit', () => {
  it('changes dirty pages, and clean ones that have blocks', () => {
    const { world, slot, write, bytes } = setUp();
    for (const isClean of [false, true]) {
      if (isClean) world.sync();
      expect(write(pattern(5, 200), 50, 150, B - 70)).toBe(150);
      bytes.set(pattern(5, 200).subarray(50), B - 70);
      expectBytes(world.read(slot, 0, 8 * B), bytes);
      expect(world.engine.cache.dirtyPagesOf(slot)).toBe(isClean ? 2 : 8);
    }
    world.evict(slot);
    expectBytes(world.read(slot, 0, 8 * B), bytes);
    expect(world.finish().errors).toEqual([]);
  });

  it('lets the file grow inside its last page', () => {
    const { world, slot, write } = setUp('invalidate-lock', 1);
    world.run(truncate(world.task, world.engine, slot, 100));
    expect(write(pattern(2, 50), 0, 50, 100)).toBe(50);
    expect(world.sizeOf(slot)).toBe(150);
    expect(write(pattern(2, 50), 0, 50, 160)).toBe(-1);
    expect(write(pattern(2, B), 0, B, 150)).toBe(-1);
    expect(world.sizeOf(slot)).toBe(150);
  });

  it('does nothing where a page is missing, locked, or has no block', () => {
    const { world, slot, write } = setUp();
    world.evict(slot);
    expect(write(pattern(2, 10), 0, 10, 0)).toBe(-1);
    world.read(slot, 0, 2 * B);
    expect(write(pattern(2, 2 * B), 0, 2 * B, B)).toBe(-1);
    expectBytes(world.read(slot, 0, 8 * B), pattern(1, 8 * B));
    const frame = world.engine.cache.find(slot, 3);
    expect(world.engine.cache.tryLockPage(world.task, frame)).toBe(true);
    const other = world.attach();
    expect(other.hot.writeHit(other.task, slot, pattern(2, 2 * B), 0, 2 * B, 2 * B)).toBe(-1);
    world.engine.cache.unlockPage(world.task, frame);
    world.engine.cache.unpin(frame);
    expect(other.hot.writeHit(other.task, slot, pattern(2, 2 * B), 0, 2 * B, 2 * B)).toBe(2 * B);
    world.run(truncate(world.task, world.engine, slot, 20 * B));
    world.read(slot, 10 * B, B);
    expect(write(pattern(2, 10), 0, 10, 10 * B)).toBe(-1);
    other.task.lockdep?.assertNothingHeld();
    expect(world.finish().errors).toEqual([]);
  });

  it('steps back when too much is dirty', () => {
    const world = new FileWorld({ frames: 64, dirtyRatio: 0.2 });
    const slot = world.create();
    world.write(slot, pattern(1, 20 * B), 0);
    world.evict(slot);
    world.read(slot, 0, 20 * B);
    let hits = 0;
    while (hits < 20 && world.hot.writeHit(world.task, slot, pattern(2, B), 0, B, hits * B) === B) hits++;
    expect(hits).toBe(13);
    world.write(slot, pattern(2, B), hits * B);
    expect(world.engine.cache.dirtyPagesOf(slot)).toBeLessThan(13);
  });
});
