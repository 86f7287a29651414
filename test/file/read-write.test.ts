import { describe, expect, it } from 'vitest';
import { StoreError } from '#dist/src/errors.js';
import { read } from '#dist/src/file/read.js';
import { APPEND, write } from '#dist/src/file/write.js';
import { mtimeOf } from '#dist/src/inode/inode.js';
import { expectBytes, FileWorld, pattern } from '../support/file-world.js';

const B = 4096;

describe('write and read', () => {
  it('bytes come back, from the cache and from the device', () => {
    const world = new FileWorld();
    const slot = world.create();
    const bytes = pattern(1, 3 * B + 100);
    world.write(slot, bytes, 50);
    expectBytes(world.read(slot, 50, bytes.length), bytes);
    world.evict(slot);
    expectBytes(world.read(slot, 50, bytes.length), bytes);
    expectBytes(world.read(slot, 0, 50), new Uint8Array(50));
    expect(world.finish().errors).toEqual([]);
  });

  it('reads stop at the end of the file', () => {
    const world = new FileWorld();
    const slot = world.create();
    world.write(slot, pattern(1, 100), 0);
    expect(world.read(slot, 90, 50)).toHaveLength(10);
    expect(world.read(slot, 100, 50)).toHaveLength(0);
    expect(world.read(slot, 1e12, 50)).toHaveLength(0);
  });

  it('a write beyond the end leaves zeros in between, and a hole', () => {
    const world = new FileWorld();
    const slot = world.create();
    world.write(slot, pattern(1, 10), 0);
    world.write(slot, pattern(2, 10), 100 * B);
    world.sync();
    expect(world.blocksOf(slot)).toBe(2);
    expectBytes(world.read(slot, 10, 100 * B - 10), new Uint8Array(100 * B - 10));
    expect(world.finish().errors).toEqual([]);
  });

  it('a partial write keeps the rest of a page that has to be read first', () => {
    const world = new FileWorld();
    const slot = world.create();
    const expected = pattern(1, 2 * B);
    world.write(slot, expected, 0);
    world.evict(slot);
    world.write(slot, pattern(2, 100), B - 50);
    expected.set(pattern(2, 100), B - 50);
    world.evict(slot);
    expectBytes(world.read(slot, 0, 2 * B), expected);
  });

  it('overwriting keeps the blocks where they are', () => {
    const world = new FileWorld();
    const slot = world.create();
    world.write(slot, pattern(1, 8 * B), 0);
    world.evict(slot);
    const free = world.blocksFree();
    world.write(slot, pattern(2, 8 * B), 0);
    world.evict(slot);
    expect(world.blocksFree()).toBe(free);
    expectBytes(world.read(slot, 0, 8 * B), pattern(2, 8 * B));
  });

  it('appends at the end, wherever that is', () => {
    const world = new FileWorld();
    const slot = world.create();
    for (let i = 0; i < 5; i++) world.run(write(world.task, world.engine, slot, pattern(i, 1000), 0, 1000, APPEND));
    expect(world.sizeOf(slot)).toBe(5000);
    expectBytes(world.read(slot, 3000, 1000), pattern(3, 1000));
  });

  it('changes the modification time', () => {
    const world = new FileWorld();
    const slot = world.create();
    const before = mtimeOf(world.arena, slot);
    world.write(slot, pattern(1, 10), 0);
    expect(mtimeOf(world.arena, slot)).toBeGreaterThan(before);
  });

  it('refuses what lies beyond the largest file, and cuts what crosses its end', () => {
    const world = new FileWorld();
    const slot = world.create();
    const { maxFileBytes } = world.engine;
    expect(maxFileBytes).toBe(0xffff_fffe * B);
    const at = (position: number) =>
      world.run(write(world.task, world.engine, slot, pattern(1, 100), 0, 100, position));
    expect(() => at(maxFileBytes)).toThrow(expect.objectContaining({ code: 'EFBIG' }));
    expect(at(maxFileBytes - 60)).toBe(60);
    expect(world.sizeOf(slot)).toBe(maxFileBytes);
    expectBytes(world.read(slot, maxFileBytes - 60, 100), pattern(1, 100).subarray(0, 60));
    expect(world.finish().errors).toEqual([]);
  });

  it('a write larger than the cache goes through it', () => {
    const world = new FileWorld({ frames: 64 });
    const slot = world.create();
    const bytes = pattern(7, 200 * B);
    world.write(slot, bytes, 0);
    expectBytes(world.read(slot, 0, 200 * B), bytes);
    expect(world.finish().errors).toEqual([]);
  });
});

describe('a full device', () => {
  it('cuts the write short, then refuses, and is clean', () => {
    const world = new FileWorld({ blocks: 300, frames: 512 });
    const slot = world.create();
    const bytes = pattern(1, 400 * B);
    const n = world.run(write(world.task, world.engine, slot, bytes, 0, bytes.length, 0));
    expect(n).toBeGreaterThan(100 * B);
    expect(n % B).toBe(0);
    expect(world.sizeOf(slot)).toBe(n);
    const more = () => world.run(write(world.task, world.engine, slot, bytes, 0, B, n));
    expect(more).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
    expect(world.sizeOf(slot)).toBe(n);
    expectBytes(world.read(slot, 0, n), bytes.subarray(0, n));
    expect(world.finish().errors).toEqual([]);
  });

  it('takes bytes again over blocks that it has, and blocks again that were freed', () => {
    const world = new FileWorld({ blocks: 300, frames: 512 });
    const full = world.create('full');
    const n = world.run(write(world.task, world.engine, full, pattern(1, 400 * B), 0, 400 * B, 0));
    world.write(full, pattern(2, 10 * B), 3 * B);
    world.unlink('full');
    world.release(full);
    const next = world.create('next');
    world.write(next, pattern(3, n), 0);
    expectBytes(world.read(next, 0, n), pattern(3, n));
    expect(world.finish().errors).toEqual([]);
  });
});

describe('a failing device', () => {
  it('a read says so, once bytes before it are given out', () => {
    const world = new FileWorld();
    const slot = world.create();
    world.write(slot, pattern(1, 4 * B), 0);
    world.evict(slot);
    world.read(slot, 0, B);
    world.device.onRead = () => {
      throw new StoreError('EIO', { syscall: 'read' });
    };
    expectBytes(world.read(slot, 0, 4 * B), pattern(1, 4 * B).subarray(0, B));
    const rest = new Uint8Array(B);
    const again = () => world.run(read(world.task, world.engine, slot, null, rest, 0, B, B));
    expect(again).toThrow(expect.objectContaining({ code: 'EIO' }));
    world.device.onRead = undefined;
    expectBytes(world.read(slot, 0, 4 * B), pattern(1, 4 * B));
  });

  it('a partial write that cannot read its page changes nothing', () => {
    const world = new FileWorld();
    const slot = world.create();
    world.write(slot, pattern(1, 2 * B), 0);
    world.evict(slot);
    world.device.onRead = () => {
      throw new StoreError('EIO', { syscall: 'read' });
    };
    expect(() => world.write(slot, pattern(2, 10), 100)).toThrow(expect.objectContaining({ code: 'EIO' }));
    world.device.onRead = undefined;
    expectBytes(world.read(slot, 0, 2 * B), pattern(1, 2 * B));
    expect(world.finish().errors).toEqual([]);
  });
});
