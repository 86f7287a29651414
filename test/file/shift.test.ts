import { describe, expect, it } from 'vitest';
import { StoreError } from '#dist/src/errors.js';
import { fallocate } from '#dist/src/file/allocate.js';
import { punchHole } from '#dist/src/file/punch.js';
import { extentsOf } from '#dist/src/file/seek.js';
import { collapseRange, insertRange } from '#dist/src/file/shift.js';
import type { Slot } from '#dist/src/units.js';
import { expectBytes, FileWorld, pattern } from '../support/file-world.js';

const B = 4096;

function collapsed(world: FileWorld, slot: Slot, position: number, length: number): void {
  world.run(collapseRange(world.task, world.engine, slot, position, length));
}

function inserted(world: FileWorld, slot: Slot, position: number, length: number): void {
  world.run(insertRange(world.task, world.engine, slot, position, length));
}

function joined(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

const STATES = ['dirty', 'clean', 'evicted'] as const;

function made(state: (typeof STATES)[number], bytes: Uint8Array): { world: FileWorld; slot: Slot } {
  const world = new FileWorld();
  const slot = world.create();
  world.write(slot, bytes, 0);
  if (state !== 'dirty') world.sync();
  if (state === 'evicted') world.evict(slot);
  return { world, slot };
}

describe('collapseRange', () => {
  it('takes the range out, and moves what follows without copying it', () => {
    for (const state of STATES) {
      const bytes = pattern(1, 9 * B + 100);
      const { world, slot } = made(state, bytes);
      collapsed(world, slot, 2 * B, 3 * B);
      const expected = joined(bytes.subarray(0, 2 * B), bytes.subarray(5 * B));
      expect(world.sizeOf(slot)).toBe(expected.length);
      expectBytes(world.read(slot, 0, 10 * B), expected);
      world.evict(slot);
      expectBytes(world.read(slot, 0, 10 * B), expected);
      expect(world.blocksOf(slot)).toBe(7);
      expect(world.finish().errors).toEqual([]);
    }
  });

  it('moves holes and unwritten extents too', () => {
    const bytes = pattern(1, 12 * B);
    const { world, slot } = made('dirty', bytes);
    world.run(punchHole(world.task, world.engine, slot, 4 * B, 2 * B));
    world.run(fallocate(world.task, world.engine, slot, 5 * B, B, true));
    collapsed(world, slot, B, 2 * B);
    const extents = world.run(extentsOf(world.task, world.engine, slot));
    const shape = extents.map(({ position, length, unwritten }) => [position / B, length / B, unwritten]);
    expect(shape).toEqual([
      [0, 1, false],
      [1, 1, false],
      [3, 1, true],
      [4, 6, false],
    ]);
    const expected = joined(bytes.subarray(0, B), bytes.subarray(3 * B));
    expected.fill(0, 2 * B, 4 * B);
    expectBytes(world.read(slot, 0, 20 * B), expected);
  });

  it('refuses what is not aligned, empty, or reaches the end', () => {
    const { world, slot } = made('dirty', pattern(1, 4 * B));
    for (const [position, length] of [
      [1, B],
      [0, B + 1],
      [0, 0],
      [2 * B, 2 * B],
      [2 * B, 3 * B],
      [8 * B, B],
    ]) {
      expect(() => collapsed(world, slot, position, length)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    }
    expectBytes(world.read(slot, 0, 5 * B), pattern(1, 4 * B));
  });

  it('changes nothing when what is to move cannot be written', () => {
    const { world, slot } = made('dirty', pattern(1, 6 * B));
    world.device.onWrite = () => {
      throw new StoreError('EIO', { syscall: 'write' });
    };
    expect(() => collapsed(world, slot, 0, B)).toThrow(expect.objectContaining({ code: 'EIO' }));
    expect(world.sizeOf(slot)).toBe(6 * B);
    expectBytes(world.read(slot, 0, 6 * B), pattern(1, 6 * B));
  });
});

describe('insertRange', () => {
  it('makes a hole, and moves what follows without copying it', () => {
    for (const state of STATES) {
      const bytes = pattern(1, 5 * B + 100);
      const { world, slot } = made(state, bytes);
      inserted(world, slot, 2 * B, 3 * B);
      const expected = joined(bytes.subarray(0, 2 * B), new Uint8Array(3 * B), bytes.subarray(2 * B));
      expect(world.sizeOf(slot)).toBe(expected.length);
      expectBytes(world.read(slot, 0, 10 * B), expected);
      world.evict(slot);
      expectBytes(world.read(slot, 0, 10 * B), expected);
      expect(world.blocksOf(slot)).toBe(6);
      expect(world.finish().errors).toEqual([]);
    }
  });

  it('undoes what a collapse of the same hole did', () => {
    const bytes = pattern(1, 20 * B);
    const { world, slot } = made('clean', bytes);
    inserted(world, slot, 4 * B, 2 * B);
    collapsed(world, slot, 4 * B, 2 * B);
    expectBytes(world.read(slot, 0, 20 * B), bytes);
    expect(world.finish().errors).toEqual([]);
  });

  it('refuses what is not aligned, empty, at the end, or makes the file too large', () => {
    const { world, slot } = made('dirty', pattern(1, 4 * B));
    const refused = (position: number, length: number, code: string) =>
      expect(() => inserted(world, slot, position, length)).toThrow(expect.objectContaining({ code }));
    refused(1, B, 'EINVAL');
    refused(0, B - 1, 'EINVAL');
    refused(0, 0, 'EINVAL');
    refused(4 * B, B, 'EINVAL');
    refused(8 * B, B, 'EINVAL');
    refused(0, world.engine.maxFileBytes, 'EFBIG');
    expectBytes(world.read(slot, 0, 5 * B), pattern(1, 4 * B));
  });
});
