/** Inodes: records, in-core slots, lists, eviction, and what stays on the device. */
import { describe, expect, it } from 'vitest';
import { StoreError } from '#dist/src/errors.js';
import { CREDITS_INSERT, CREDITS_REMOVE_STEP, Extent } from '#dist/src/inode/extent-map.js';
import {
  blocksOf,
  diskSizeOf,
  FIRST_FILE_INO,
  inoOf,
  isDeleted,
  isInodeDirty,
  linksOf,
  mtimeOf,
  setSize,
  sizeOf,
  slotAt,
  touchModified,
} from '#dist/src/inode/inode.js';
import { Header, Inode } from '#dist/src/sync/layout.js';
import { MAX_FILE_PAGES, type Slot } from '#dist/src/units.js';
import { InodeWorld } from '../support/inode-world.js';

function generationOf(world: InodeWorld, slot: Slot): number {
  return world.arena.unsigned[slotAt(world.arena, slot) + Inode.Generation];
}

describe('the inode table', () => {
  it('creates inodes, keeps them over a reopening, and reuses their numbers with a new generation', () => {
    const world = new InodeWorld();
    const slots = Array.from({ length: 20 }, () => world.create());
    const inos = slots.map((slot) => inoOf(world.arena, slot));
    expect(new Set(inos).size).toBe(20);
    expect(Math.min(...inos)).toBe(FIRST_FILE_INO);
    world.write(slots[3], 0, 5, 0xab);
    touchModified(world.task, slots[3]);
    const times = mtimeOf(world.arena, slots[3]);
    expect(world.run(world.cache.writeRange(world.task, slots[3], 0, MAX_FILE_PAGES, { wait: true }))).toBeNull();
    expect(diskSizeOf(world.arena, slots[3])).toBe(5 * world.blockBytes);
    world.sync();
    const generation = generationOf(world, slots[7]);
    world.unlink(slots[7]);
    for (const slot of slots) world.release(slot);
    expect(world.check()).toEqual([]);

    const again = new InodeWorld({ device: world.device });
    const found = again.run(again.inodes.find(again.task, inos[3]));
    expect(sizeOf(again.arena, found)).toBe(5 * again.blockBytes);
    expect(mtimeOf(again.arena, found)).toBe(times);
    expect(blocksOf(again.arena, found)).toBe(5);
    expect(linksOf(again.arena, found)).toBe(1);
    expect(again.inodes.tryFind(again.task, inos[3])).toBe(found);
    expect(() => again.run(again.inodes.find(again.task, inos[7]))).toThrow(/EUCLEAN.*not in use/);
    const reused = again.create();
    expect(inoOf(again.arena, reused)).toBe(inos[7]);
    expect(generationOf(again, reused)).toBe(generation + 1);
    expect(again.check()).toEqual([]);
  });

  it('frees the blocks of an unlinked inode at its last release, and not before', () => {
    const world = new InodeWorld();
    // The table's first blocks stay.
    world.release(world.create());
    const before = world.blocksFree;
    const slot = world.create();
    world.write(slot, 10, 30, 1);
    world.run(world.cache.writeRange(world.task, slot, 0, MAX_FILE_PAGES, { wait: true }));
    world.write(slot, 100, 3, 1);
    world.inodes.reference(slot);
    world.unlink(slot);
    expect(isDeleted(world.arena, slot)).toBe(true);
    expect(world.inodes.put(world.task, slot)).toBe(false);
    world.release(slot);
    expect(world.blocksFree).toBe(before - 30);
    expect(world.arena.unsigned[Header.OrphanHead]).toBe(inoOf(world.arena, slot));
    world.release(slot);
    expect(world.blocksFree).toBe(before);
    expect(world.arena.unsigned[Header.BlocksReserved]).toBe(0);
    expect(world.arena.unsigned[Header.OrphanHead]).toBe(0);
    expect(world.check()).toEqual([]);
  });

  it('keeps the orphan list in order whichever orphan goes first', () => {
    for (const order of [
      [0, 1, 2, 3],
      [3, 2, 1, 0],
      [1, 3, 0, 2],
      [2, 0, 3, 1],
    ]) {
      const world = new InodeWorld();
      const slots = [0, 1, 2, 3].map(() => world.create());
      for (const slot of slots) world.unlink(slot);
      for (const i of order.slice(0, 2)) world.release(slots[i]);
      world.sync();
      const image = world.device.clone();
      for (const i of order.slice(2)) world.release(slots[i]);
      expect(world.check()).toEqual([]);

      // As after a crash: two orphans are left, and the next open finishes them.
      const crashed = new InodeWorld({ device: image });
      expect(crashed.run(crashed.inodes.finishOrphans(crashed.task, function* () {}))).toBe(2);
      expect(crashed.arena.unsigned[Header.OrphanHead]).toBe(0);
      expect(crashed.check()).toEqual([]);
    }
  });

  it('gives slots up under pressure: dirty pages are written, clean ones dropped, records updated', () => {
    const world = new InodeWorld({ inodes: 12, frames: 256 });
    const held = world.create();
    const inos: number[] = [];
    for (let i = 0; i < 60; i++) {
      const slot = world.create();
      inos.push(inoOf(world.arena, slot));
      world.write(slot, 0, 1 + (i % 3), i);
      touchModified(world.task, slot);
      expect(isInodeDirty(world.arena, slot)).toBe(true);
      world.release(slot);
    }
    expect(inoOf(world.arena, held)).toBe(FIRST_FILE_INO);
    for (let i = 0; i < 60; i++) {
      const slot = world.run(world.inodes.find(world.task, inos[i]));
      expect(sizeOf(world.arena, slot)).toBe((1 + (i % 3)) * world.blockBytes);
      const frame = world.run(world.cache.read(world.task, slot, i % 3));
      expect(world.frames.bytes(frame)[17]).toBe(i);
      world.cache.unpin(frame);
      world.release(slot);
    }
    const open: Slot[] = [];
    expect(() => {
      for (;;) open.push(world.create());
    }).toThrow(/ENOMEM/);
    expect(open.length).toBe(12 - 3);
    for (const slot of open) world.release(slot);
    world.run(world.cache.writeSome(world.task, 1000));
    for (let slot = 2 as Slot; slot < 12; slot++) {
      world.run(world.cache.writeRange(world.task, slot, 0, MAX_FILE_PAGES, { wait: true }));
    }
    world.sync();
    expect(world.check()).toEqual([]);
  });

  it('keeps a size that grew within a block the file had before', () => {
    const world = new InodeWorld({ inodes: 5 });
    const slot = world.create();
    const ino = inoOf(world.arena, slot);
    world.write(slot, 0, 1, 1);
    setSize(world.task, slot, 100);
    expect(world.run(world.cache.writeRange(world.task, slot, 0, MAX_FILE_PAGES, { wait: true }))).toBeNull();
    expect(diskSizeOf(world.arena, slot)).toBe(100);
    world.write(slot, 0, 1, 2);
    setSize(world.task, slot, 200);
    world.release(slot);
    const others = [world.create(), world.create(), world.create()];
    expect(world.inodes.tryFind(world.task, ino)).toBe(0);
    for (const other of others) world.release(other);
    expect(sizeOf(world.arena, world.run(world.inodes.find(world.task, ino)))).toBe(200);
    expect(world.check()).toEqual([]);
  });

  it('creates, frees and reuses ten thousand inodes', () => {
    const world = new InodeWorld({ inodes: 256, frames: 2048, commitBlocks: 1200, verify: false });
    const inos: number[] = [];
    for (let i = 0; i < 10_000; i++) {
      const slot = world.create();
      inos.push(inoOf(world.arena, slot));
      world.release(slot);
    }
    expect(new Set(inos).size).toBe(10_000);
    const highWater = world.arena.unsigned[Header.InodeHighWater];
    for (const ino of inos) {
      if (ino % 3 === 0) continue;
      const slot = world.run(world.inodes.find(world.task, ino));
      world.unlink(slot);
      world.release(slot);
    }
    for (let i = 0; i < 5000; i++) world.release(world.create());
    expect(world.arena.unsigned[Header.InodeHighWater]).toBe(highWater);
    world.sync();
    expect(world.check()).toEqual([]);
  });

  it('is refused when the device is full, and changes nothing then', () => {
    const world = new InodeWorld({ blocks: 128 });
    const files: Slot[] = [];
    const first = world.create();
    let page = 0;
    while (world.allocator.reserve(world.task, 1)) {
      world.allocator.unreserve(world.task, 1);
      world.write(first, page++, 1, 1);
    }
    world.run(world.cache.writeRange(world.task, first, 0, MAX_FILE_PAGES, { wait: true }));
    let failure = '';
    while (failure === '' && files.length < 2000) {
      try {
        files.push(world.create());
        world.release(files[files.length - 1]);
      } catch (error) {
        failure = (error as { code: string }).code;
      }
    }
    expect(failure).toBe('ENOSPC');
    expect(world.check()).toEqual([]);
  });

  it('publishes what was written only after it was written, even where a preallocation came between', () => {
    const world = new InodeWorld();
    const slot = world.create();
    world.write(slot, 0, 8, 7);
    let came = false;
    world.device.onWrite = (positionBytes) => {
      if (came || positionBytes < 100 * world.blockBytes) return undefined;
      came = true;
      expect(blocksOf(world.arena, slot)).toBe(0);
      expect(diskSizeOf(world.arena, slot)).toBe(0);
      // Pages 2 and 3, and 5, get unwritten blocks of their own while the data are on their way.
      preallocate(world, slot, 2, 2);
      preallocate(world, slot, 5, 1);
      return undefined;
    };
    expect(world.run(world.cache.writeRange(world.task, slot, 0, MAX_FILE_PAGES, { wait: true }))).toBeNull();
    expect(came).toBe(true);
    const extent = new Extent();
    expect(world.run(world.extents.next(world.task, slot, 0, extent))).toBe(true);
    expect({ ...extent }).toMatchObject({ page: 0, length: 8, unwritten: false });
    expect(diskSizeOf(world.arena, slot)).toBe(8 * world.blockBytes);
    expect(world.arena.unsigned[Header.BlocksReserved]).toBe(0);
    world.sync();
    expect(world.check()).toEqual([]);
  });

  it('gives claimed blocks back when the write fails', () => {
    const world = new InodeWorld();
    const slot = world.create();
    world.sync();
    const free = world.blocksFree;
    world.write(slot, 0, 8, 7);
    world.device.onWrite = () => {
      throw new StoreError('EIO');
    };
    const error = world.run(world.cache.writeRange(world.task, slot, 0, MAX_FILE_PAGES, { wait: true }));
    expect(error?.code).toBe('EIO');
    expect(world.blocksFree).toBe(free);
    expect(world.arena.unsigned[Header.BlocksReserved]).toBe(8);
    expect(blocksOf(world.arena, slot)).toBe(0);
    expect(diskSizeOf(world.arena, slot)).toBe(0);
  });
});

function preallocate(world: InodeWorld, slot: Slot, page: number, length: number): void {
  const run = { start: 0, length: 0 };
  expect(world.allocator.reserve(world.task, length)).toBe(true);
  world.run(world.allocator.claim(world.task, 0, length, run));
  expect(run.length).toBe(length);
  world.change(slot, CREDITS_INSERT + CREDITS_REMOVE_STEP, function* () {
    yield* world.extents.insert(world.task, slot, page, run.start, length, true);
    yield* world.allocator.publish(world.task, run.start, length, length);
  });
}
