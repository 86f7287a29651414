import { describe, expect, it } from 'vitest';
import { StoreError } from '#dist/src/errors.js';
import { fallocate } from '#dist/src/file/allocate.js';
import { pin, releasePin } from '#dist/src/file/pin.js';
import { truncate } from '#dist/src/file/truncate.js';
import { diskSizeOf } from '#dist/src/inode/inode.js';
import { expectBytes, FileWorld, pattern, step } from '../support/file-world.js';

const B = 4096;

function truncated(world: FileWorld, slot: Parameters<FileWorld['sizeOf']>[0], size: number): void {
  world.run(truncate(world.task, world.engine, slot, size));
}

describe('truncate', () => {
  it('down frees the blocks behind the end', () => {
    const world = new FileWorld();
    const slot = world.create();
    world.write(slot, pattern(1, 10 * B), 0);
    world.sync();
    truncated(world, slot, 3 * B + 7);
    expect(world.sizeOf(slot)).toBe(3 * B + 7);
    expect(world.blocksOf(slot)).toBe(4);
    expectBytes(world.read(slot, 0, 10 * B), pattern(1, 3 * B + 7));
    expect(world.finish().errors).toEqual([]);
  });

  it('what was cut off never comes back', () => {
    for (const isCached of [true, false]) {
      const world = new FileWorld();
      const slot = world.create();
      world.write(slot, pattern(1, 4 * B), 0);
      if (!isCached) world.evict(slot);
      truncated(world, slot, B + 100);
      if (!isCached) world.evict(slot);
      truncated(world, slot, 4 * B);
      const expected = new Uint8Array(4 * B);
      expected.set(pattern(1, B + 100));
      expectBytes(world.read(slot, 0, 4 * B), expected);
      world.evict(slot);
      expectBytes(world.read(slot, 0, 4 * B), expected);
      expect(world.finish().errors).toEqual([]);
    }
  });

  it('drops delayed pages without writing them, and keeps the size on the device', () => {
    const world = new FileWorld();
    const slot = world.create();
    world.write(slot, pattern(1, 10 * B), 0);
    truncated(world, slot, 2 * B);
    expect(world.blocksReserved()).toBe(2);
    expect(diskSizeOf(world.arena, slot)).toBe(2 * B);
    expect(world.finish().errors).toEqual([]);
  });

  it('up makes a hole', () => {
    const world = new FileWorld();
    const slot = world.create();
    truncated(world, slot, 1e12);
    expect(world.sizeOf(slot)).toBe(1e12);
    expect(world.blocksOf(slot)).toBe(0);
    expectBytes(world.read(slot, 1e12 - 10, 100), new Uint8Array(10));
    expect(world.finish().errors).toEqual([]);
  });

  it('refuses a size beyond the largest file', () => {
    const world = new FileWorld();
    const slot = world.create();
    const { maxFileBytes } = world.engine;
    expect(() => truncated(world, slot, maxFileBytes + 1)).toThrow(expect.objectContaining({ code: 'EFBIG' }));
    truncated(world, slot, maxFileBytes);
    expect(world.sizeOf(slot)).toBe(maxFileBytes);
  });

  it('to the size that a file has frees what fallocate kept behind the end; up keeps it', () => {
    const world = new FileWorld();
    const slot = world.create();
    world.write(slot, pattern(1, 100), 0);
    world.run(fallocate(world.task, world.engine, slot, 0, 10 * B, true));
    world.sync();
    expect(world.blocksOf(slot)).toBe(10);
    truncated(world, slot, 200);
    expect(world.blocksOf(slot)).toBe(10);
    truncated(world, slot, 200);
    expect(world.blocksOf(slot)).toBe(1);
    expect(world.finish().errors).toEqual([]);
  });

  it('hides bytes that a pin put behind the end, even where they were written back', () => {
    const world = new FileWorld();
    const slot = world.create();
    world.write(slot, pattern(1, 100), 0);
    const pinned = world.run(pin(world.task, world.engine, slot, 0, true));
    pinned.bytes.fill(9);
    world.evict(slot);
    truncated(world, slot, 200);
    pinned.bytes.fill(9, 200);
    world.run(releasePin(world.task, world.engine, pinned));
    truncated(world, slot, 300);
    const expected = new Uint8Array(300);
    expected.fill(9, 0, 100);
    expectBytes(world.read(slot, 0, 300), expected);
  });

  it('that cannot read the last page changes nothing', () => {
    const world = new FileWorld();
    const slot = world.create();
    world.write(slot, pattern(1, 4 * B), 0);
    world.evict(slot);
    world.device.onRead = () => {
      throw new StoreError('EIO', { syscall: 'read' });
    };
    expect(() => truncated(world, slot, B + 1)).toThrow(expect.objectContaining({ code: 'EIO' }));
    world.device.onRead = undefined;
    expectBytes(world.read(slot, 0, 4 * B), pattern(1, 4 * B));
    expect(world.finish().errors).toEqual([]);
  });

  it('sets the size before it drops the pages, and drops them before it frees the blocks', () => {
    const world = new FileWorld();
    const slot = world.create();
    world.write(slot, pattern(1, 4 * B), 0);
    world.sync();
    const operation = truncate(world.task, world.engine, slot, B);
    expect(step(world.task, operation, 'truncate:sized').at).toBe('point');
    expect(world.sizeOf(slot)).toBe(B);
    expect(world.engine.cache.pagesOf(slot)).toBe(4);
    expect(step(world.task, operation, 'truncate:dropped').at).toBe('point');
    expect(world.engine.cache.pagesOf(slot)).toBe(1);
    expect(world.blocksOf(slot)).toBe(4);
    expect(step(world.task, operation).at).toBe('end');
    expect(world.blocksOf(slot)).toBe(1);
  });
});
