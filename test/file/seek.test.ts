import { describe, expect, it } from 'vitest';
import { fallocate } from '#dist/src/file/allocate.js';
import { extentsOf, nextData, nextHole } from '#dist/src/file/seek.js';
import { truncate } from '#dist/src/file/truncate.js';
import type { Slot } from '#dist/src/units.js';
import { FileWorld, pattern } from '../support/file-world.js';

const B = 4096;

function data(world: FileWorld, slot: Slot, position: number): number {
  return world.run(nextData(world.task, world.engine, slot, position));
}

function hole(world: FileWorld, slot: Slot, position: number): number {
  return world.run(nextHole(world.task, world.engine, slot, position));
}

describe('nextData and nextHole', () => {
  it('see delayed pages as data, and written ones', () => {
    const world = new FileWorld();
    const slot = world.create();
    world.write(slot, pattern(1, 2 * B), 3 * B);
    world.write(slot, pattern(1, 10), 10 * B);
    for (const written of [false, true]) {
      if (written) world.evict(slot);
      expect(data(world, slot, 0)).toBe(3 * B);
      expect(data(world, slot, 3 * B + 7)).toBe(3 * B + 7);
      expect(hole(world, slot, 0)).toBe(0);
      expect(hole(world, slot, 3 * B)).toBe(5 * B);
      expect(data(world, slot, 5 * B)).toBe(10 * B);
      expect(hole(world, slot, 10 * B)).toBe(10 * B + 10);
    }
  });

  it('see an unwritten extent as a hole until a page of it is dirty', () => {
    const world = new FileWorld();
    const slot = world.create();
    world.run(fallocate(world.task, world.engine, slot, 0, 8 * B, false));
    expect(() => data(world, slot, 0)).toThrow(expect.objectContaining({ code: 'ENXIO' }));
    expect(hole(world, slot, 100)).toBe(100);
    world.read(slot, 0, 8 * B);
    expect(hole(world, slot, 0)).toBe(0);
    world.write(slot, pattern(1, 10), 4 * B);
    expect(data(world, slot, 0)).toBe(4 * B);
    expect(hole(world, slot, 4 * B)).toBe(5 * B);
  });

  it('throw at the end and past it; a hole at the end has no data behind it', () => {
    const world = new FileWorld();
    const slot = world.create();
    expect(() => data(world, slot, 0)).toThrow(expect.objectContaining({ code: 'ENXIO' }));
    expect(() => hole(world, slot, 0)).toThrow(expect.objectContaining({ code: 'ENXIO' }));
    world.write(slot, pattern(1, B), 0);
    world.run(truncate(world.task, world.engine, slot, 1e12));
    expect(() => data(world, slot, B)).toThrow(expect.objectContaining({ code: 'ENXIO' }));
    expect(hole(world, slot, 1e12 - 1)).toBe(1e12 - 1);
    expect(() => hole(world, slot, 1e12)).toThrow(expect.objectContaining({ code: 'ENXIO' }));
  });
});

describe('extentsOf', () => {
  it('lists extents in order, after delayed pages got their blocks', () => {
    const world = new FileWorld();
    const slot = world.create();
    world.write(slot, pattern(1, 3 * B), 7 * B);
    world.run(fallocate(world.task, world.engine, slot, 0, 2 * B, true));
    const list = world.run(extentsOf(world.task, world.engine, slot));
    expect(list).toMatchObject([
      { position: 0, length: 2 * B, unwritten: true },
      { position: 7 * B, length: 3 * B, unwritten: false },
    ]);
    const bytes = new Uint8Array(3 * B);
    world.device.read([bytes], list[1].devicePosition);
    expect(Buffer.compare(bytes, pattern(1, 3 * B))).toBe(0);
  });
});
