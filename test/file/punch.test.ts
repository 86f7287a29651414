import { describe, expect, it } from 'vitest';
import { StoreError } from '#dist/src/errors.js';
import { fallocate } from '#dist/src/file/allocate.js';
import { punchHole, zeroRange } from '#dist/src/file/punch.js';
import { extentsOf } from '#dist/src/file/seek.js';
import { write } from '#dist/src/file/write.js';
import { diskSizeOf } from '#dist/src/inode/inode.js';
import type { Slot } from '#dist/src/units.js';
import { expectBytes, FileWorld, pattern } from '../support/file-world.js';

const B = 4096;

function punched(world: FileWorld, slot: Slot, position: number, length: number): void {
  world.run(punchHole(world.task, world.engine, slot, position, length));
}

function zeroed(world: FileWorld, slot: Slot, position: number, length: number, keepSize = false): void {
  world.run(zeroRange(world.task, world.engine, slot, position, length, keepSize));
}

function withZeros(bytes: Uint8Array, from: number, to: number): Uint8Array {
  return bytes.slice().fill(0, from, to);
}

const RANGES = [
  { position: 2 * B, length: 3 * B, whole: 3 },
  { position: 2 * B + 10, length: 3 * B, whole: 2 },
  { position: 2 * B + 10, length: 100, whole: 0 },
  { position: 2 * B + 10, length: B, whole: 0 },
  { position: 0, length: 1, whole: 0 },
  { position: 6 * B, length: 10 * B, whole: 2 },
  { position: 7 * B + 1, length: 10 * B, whole: 0 },
];

describe('punchHole', () => {
  it('zeroes the range, frees its whole blocks, and leaves the rest and the size', () => {
    for (const { position, length, whole } of RANGES) {
      for (const state of ['dirty', 'clean', 'evicted']) {
        const world = new FileWorld();
        const slot = world.create();
        const size = 7 * B + 1000;
        const bytes = pattern(1, size);
        world.write(slot, bytes, 0);
        if (state !== 'dirty') world.sync();
        if (state === 'evicted') world.evict(slot);
        punched(world, slot, position, length);
        const expected = withZeros(bytes, position, position + length);
        expectBytes(world.read(slot, 0, 9 * B), expected);
        world.evict(slot);
        expectBytes(world.read(slot, 0, 9 * B), expected);
        expect(world.blocksOf(slot)).toBe(8 - whole);
        expect(world.finish().errors).toEqual([]);
      }
    }
  });

  it('pushes the size out first, when only punched pages carried it', () => {
    const world = new FileWorld();
    const slot = world.create();
    world.write(slot, pattern(1, 3 * B), 0);
    punched(world, slot, 0, 3 * B);
    expect(diskSizeOf(world.arena, slot)).toBe(3 * B);
    expect(world.blocksReserved()).toBe(0);
    expect(world.finish().errors).toEqual([]);
  });

  it('frees blocks that were kept behind the end', () => {
    const world = new FileWorld();
    const slot = world.create();
    world.run(fallocate(world.task, world.engine, slot, 0, 10 * B, true));
    punched(world, slot, 5 * B, 100 * B);
    expect(world.blocksOf(slot)).toBe(5);
    punched(world, slot, 0, 100 * B);
    expect(world.blocksOf(slot)).toBe(0);
    expect(world.sizeOf(slot)).toBe(0);
  });

  it('does not let the freed blocks be used again before it is durable', () => {
    const world = new FileWorld({ blocks: 300, frames: 512 });
    const slot = world.create();
    const n = world.run(write(world.task, world.engine, slot, pattern(1, 400 * B), 0, 400 * B, 0));
    world.sync();
    const [before] = world.run(extentsOf(world.task, world.engine, slot));
    punched(world, slot, 0, n);
    expect(world.blocksFree()).toBeLessThan(n / B);
    const other = world.create();
    world.write(other, pattern(2, n / 2), 0);
    const [after] = world.run(extentsOf(world.task, world.engine, other));
    expect(after.devicePosition).toBeLessThan(before.devicePosition + n);
    expect(world.finish().errors).toEqual([]);
  });

  it('that cannot read an edge changes nothing', () => {
    const world = new FileWorld();
    const slot = world.create();
    world.write(slot, pattern(1, 6 * B), 0);
    world.evict(slot);
    world.device.onRead = () => {
      throw new StoreError('EIO', { syscall: 'read' });
    };
    expect(() => punched(world, slot, 100, 4 * B)).toThrow(expect.objectContaining({ code: 'EIO' }));
    world.device.onRead = undefined;
    expectBytes(world.read(slot, 0, 6 * B), pattern(1, 6 * B));
    expect(world.blocksOf(slot)).toBe(6);
    expect(world.finish().errors).toEqual([]);
  });

  it('of a hole writes nothing', () => {
    const world = new FileWorld();
    const slot = world.create();
    world.write(slot, pattern(1, 10), 20 * B);
    world.sync();
    punched(world, slot, 10, 10 * B);
    expect(world.engine.cache.dirtyPagesOf(slot)).toBe(0);
    expect(world.blocksOf(slot)).toBe(1);
  });
});

describe('zeroRange', () => {
  it('zeroes the range and keeps all of it allocated', () => {
    for (const { position, length } of RANGES) {
      for (const state of ['dirty', 'clean', 'evicted']) {
        const world = new FileWorld();
        const slot = world.create();
        const bytes = pattern(1, 8 * B);
        world.write(slot, bytes, 0);
        if (state !== 'dirty') world.sync();
        if (state === 'evicted') world.evict(slot);
        zeroed(world, slot, position, length, true);
        const expected = withZeros(bytes, position, position + length);
        expectBytes(world.read(slot, 0, 9 * B), expected);
        world.evict(slot);
        expectBytes(world.read(slot, 0, 9 * B), expected);
        expect(world.blocksOf(slot)).toBe(Math.max(8, Math.ceil((position + length) / B)));
        expect(world.finish().errors).toEqual([]);
      }
    }
  });

  it('turns written blocks into unwritten ones in place, so that a full device has room for it', () => {
    const world = new FileWorld({ blocks: 300, frames: 512 });
    const slot = world.create();
    const n = world.run(write(world.task, world.engine, slot, pattern(1, 400 * B), 0, 400 * B, 0));
    world.sync();
    const before = world.blocksFree();
    zeroed(world, slot, 0, n);
    expect(world.blocksFree()).toBe(before);
    const extents = world.run(extentsOf(world.task, world.engine, slot));
    expect(extents.every((extent) => extent.unwritten)).toBe(true);
    expect(world.finish().errors).toEqual([]);
  });

  it('grows the file unless told not to', () => {
    const world = new FileWorld();
    const slot = world.create();
    world.write(slot, pattern(1, 100), 0);
    zeroed(world, slot, 50, 3 * B, true);
    expect(world.sizeOf(slot)).toBe(100);
    zeroed(world, slot, 60, 3 * B);
    expect(world.sizeOf(slot)).toBe(60 + 3 * B);
    expectBytes(world.read(slot, 0, 4 * B), withZeros(pattern(1, 60 + 3 * B), 50, 60 + 3 * B));
    expect(world.finish().errors).toEqual([]);
  });

  it('refuses without a change when there is no space', () => {
    const world = new FileWorld({ blocks: 300, frames: 512 });
    const slot = world.create();
    world.write(slot, pattern(1, 10 * B), 0);
    expect(() => zeroed(world, slot, 100, 400 * B)).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
    expectBytes(world.read(slot, 0, 400 * B), pattern(1, 10 * B));
    expect(world.blocksReserved()).toBe(10);
    expect(world.finish().errors).toEqual([]);
  });
});
