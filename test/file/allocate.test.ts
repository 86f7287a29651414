import { describe, expect, it } from 'vitest';
import { fallocate } from '#dist/src/file/allocate.js';
import { extentsOf } from '#dist/src/file/seek.js';
import type { Slot } from '#dist/src/units.js';
import { expectBytes, FileWorld, pattern, step } from '../support/file-world.js';

const B = 4096;

function allocated(world: FileWorld, slot: Slot, position: number, length: number, keepSize = false): void {
  world.run(fallocate(world.task, world.engine, slot, position, length, keepSize));
}

describe('fallocate', () => {
  it('gives holes unwritten blocks, which read as zeros and take writes', () => {
    const world = new FileWorld();
    const slot = world.create();
    world.write(slot, pattern(1, B), 2 * B);
    world.sync();
    allocated(world, slot, 100, 6 * B);
    expect(world.sizeOf(slot)).toBe(100 + 6 * B);
    expect(world.blocksOf(slot)).toBe(7);
    const expected = new Uint8Array(100 + 6 * B);
    expected.set(pattern(1, B), 2 * B);
    expectBytes(world.read(slot, 0, 10 * B), expected);
    world.write(slot, pattern(2, 50), 4 * B + 10);
    expected.set(pattern(2, 50), 4 * B + 10);
    expect(world.blocksReserved()).toBe(0);
    world.evict(slot);
    expectBytes(world.read(slot, 0, 10 * B), expected);
    const written = world.run(extentsOf(world.task, world.engine, slot)).filter((extent) => !extent.unwritten);
    expect(written.map(({ position }) => position / B)).toEqual([2, 4]);
    expect(world.finish().errors).toEqual([]);
  });

  it('keeps the size if told to', () => {
    const world = new FileWorld();
    const slot = world.create();
    world.write(slot, pattern(1, 10), 0);
    allocated(world, slot, 0, 5 * B, true);
    expect(world.sizeOf(slot)).toBe(10);
    expect(world.blocksOf(slot)).toBe(5);
    world.write(slot, pattern(2, 100), 3 * B);
    world.sync();
    expect(world.blocksOf(slot)).toBe(5);
    expect(world.blocksReserved()).toBe(0);
    expect(world.finish().errors).toEqual([]);
  });

  it('leaves delayed pages their content', () => {
    const world = new FileWorld();
    const slot = world.create();
    const bytes = pattern(1, 4 * B);
    world.write(slot, bytes, 0);
    allocated(world, slot, 0, 4 * B);
    world.evict(slot);
    expectBytes(world.read(slot, 0, 4 * B), bytes);
    expect(world.blocksOf(slot)).toBe(4);
    expect(world.blocksReserved()).toBe(0);
    expect(world.finish().errors).toEqual([]);
  });

  it('may map a hole that writeback is filling at that moment', () => {
    for (const point of ['writeback:mapped', 'writeback:written'] as const) {
      const world = new FileWorld();
      const slot = world.create();
      const bytes = pattern(1, 4 * B);
      world.write(slot, bytes, 0);
      const other = world.attach();
      const writeback = other.engine.cache.writeRange(other.task, slot, 0, 10, { wait: true });
      expect(step(other.task, writeback, point).at).toBe('point');
      allocated(world, slot, 0, 6 * B);
      expect(step(other.task, writeback).at).toBe('end');
      world.evict(slot);
      expectBytes(world.read(slot, 0, 4 * B), bytes);
      expect(world.blocksOf(slot)).toBe(6);
      expect(world.finish().errors).toEqual([]);
    }
  });

  it('refuses without a change when there is no space, or the file would be too large', () => {
    const world = new FileWorld({ blocks: 300 });
    const slot = world.create();
    const free = world.blocksFree();
    expect(() => allocated(world, slot, 0, 400 * B)).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
    const { maxFileBytes } = world.engine;
    expect(() => allocated(world, slot, maxFileBytes, 1)).toThrow(expect.objectContaining({ code: 'EFBIG' }));
    expect(world.sizeOf(slot)).toBe(0);
    expect(world.blocksFree()).toBe(free);
    expect(world.blocksReserved()).toBe(0);
    expect(world.finish().errors).toEqual([]);
  });
});
