import { describe, expect, it } from 'vitest';
import { isCurrent, pin, releasePin } from '#dist/src/file/pin.js';
import { punchHole } from '#dist/src/file/punch.js';
import { collapseRange } from '#dist/src/file/shift.js';
import { truncate } from '#dist/src/file/truncate.js';
import { Header } from '#dist/src/sync/layout.js';
import type { Slot } from '#dist/src/units.js';
import { expectBytes, FileWorld, pattern, step } from '../support/file-world.js';

const B = 4096;

function pinned(world: FileWorld, slot: Slot, position: number, write = false) {
  return world.run(pin(world.task, world.engine, slot, position, write));
}

function release(world: FileWorld, page: ReturnType<typeof pinned>): void {
  world.run(releasePin(world.task, world.engine, page));
}

describe('a pin for reading', () => {
  it('shows the page, filled from the device', () => {
    const world = new FileWorld();
    const slot = world.create();
    world.write(slot, pattern(1, 3 * B), 0);
    world.evict(slot);
    const page = pinned(world, slot, B + 5);
    expect(page.positionBytes).toBe(B);
    expectBytes(page.bytes, pattern(1, 3 * B).subarray(B, 2 * B));
    world.write(slot, pattern(2, 10), B);
    expectBytes(page.bytes.subarray(0, 10), pattern(2, 10));
    release(world, page);
    expect(world.arena.words[Header.Pins]).toBe(0);
  });

  it('keeps the old content when the page is dropped, and says so', () => {
    for (const drop of ['punch', 'truncate', 'collapse'] as const) {
      const world = new FileWorld();
      const slot = world.create();
      world.write(slot, pattern(1, 4 * B), 0);
      world.sync();
      const page = pinned(world, slot, 2 * B);
      const { task, engine } = world;
      if (drop === 'punch') world.run(punchHole(task, engine, slot, 2 * B, B));
      else if (drop === 'truncate') world.run(truncate(task, engine, slot, B));
      else world.run(collapseRange(task, engine, slot, 0, B));
      expect(isCurrent(world.engine, page)).toBe(false);
      const other = world.create();
      world.write(other, pattern(9, 100 * B), 0);
      world.sync();
      expectBytes(page.bytes, pattern(1, 4 * B).subarray(2 * B, 3 * B));
      release(world, page);
      expect(world.finish().errors).toEqual([]);
    }
  });

  it('is refused past the end of the file, and for more than a quarter of the cache', () => {
    const world = new FileWorld({ frames: 64 });
    const slot = world.create();
    expect(() => pinned(world, slot, 0)).toThrow(expect.objectContaining({ code: 'ENXIO' }));
    world.run(truncate(world.task, world.engine, slot, 100 * B));
    const pages = Array.from({ length: 16 }, (_, i) => pinned(world, slot, i * B));
    expect(() => pinned(world, slot, 50 * B)).toThrow(expect.objectContaining({ code: 'ENOMEM' }));
    release(world, pages[3]);
    release(world, pinned(world, slot, 50 * B));
  });
});

describe('a pin for writing', () => {
  it('makes the page dirty, with a block promised where there is none', () => {
    const world = new FileWorld();
    const slot = world.create();
    world.run(truncate(world.task, world.engine, slot, 4 * B));
    const page = pinned(world, slot, 2 * B, true);
    expect(world.blocksReserved()).toBe(1);
    page.bytes.set(pattern(3, B));
    release(world, page);
    world.evict(slot);
    expectBytes(world.read(slot, 2 * B, B), pattern(3, B));
    expect(world.blocksReserved()).toBe(0);
    expect(world.finish().errors).toEqual([]);
  });

  it('loses nothing that was written after its page had been written back', () => {
    const world = new FileWorld();
    const slot = world.create();
    world.write(slot, pattern(1, B), 0);
    const page = pinned(world, slot, 0, true);
    world.sync();
    page.bytes.set(pattern(2, B));
    release(world, page);
    world.evict(slot);
    expectBytes(world.read(slot, 0, B), pattern(2, B));
  });

  it('is discarded when its page was punched', () => {
    const world = new FileWorld();
    const slot = world.create();
    world.write(slot, pattern(1, 3 * B), 0);
    const page = pinned(world, slot, B, true);
    world.run(punchHole(world.task, world.engine, slot, B, B));
    page.bytes.fill(7);
    release(world, page);
    expectBytes(world.read(slot, B, B), new Uint8Array(B));
    expect(world.finish().errors).toEqual([]);
  });

  it('writes nothing behind the end of the file', () => {
    const world = new FileWorld();
    const slot = world.create();
    world.write(slot, pattern(1, 100), 0);
    const page = pinned(world, slot, 0, true);
    page.bytes.fill(7);
    release(world, page);
    world.run(truncate(world.task, world.engine, slot, 200));
    const expected = new Uint8Array(200);
    expected.fill(7, 0, 100);
    expectBytes(world.read(slot, 0, 200), expected);
  });

  it('is refused when there is no space, and leaves nothing behind', () => {
    const world = new FileWorld({ blocks: 300, frames: 512 });
    const full = world.create();
    const slot = world.create();
    world.run(truncate(world.task, world.engine, slot, B));
    expect(() => world.write(full, pattern(1, 400 * B), 0)).toThrow(/wrote/);
    expect(() => pinned(world, slot, 0, true)).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
    expect(world.arena.words[Header.Pins]).toBe(0);
    release(world, pinned(world, slot, 0));
    expect(world.finish().errors).toEqual([]);
  });

  it('waits for an invalidation, and then starts over', () => {
    const world = new FileWorld();
    const slot = world.create();
    world.write(slot, pattern(1, 3 * B), 0);
    world.sync();
    const punch = punchHole(world.task, world.engine, slot, B, B);
    expect(step(world.task, punch, 'punch:dropped').at).toBe('point');
    const other = world.attach();
    const pinning = pin(other.task, other.engine, slot, B, true);
    expect(step(other.task, pinning).at).toBe('blocked');
    expect(step(world.task, punch).at).toBe('end');
    const end = step(other.task, pinning);
    if (end.at !== 'end') throw new Error(end.at);
    const page = end.value as ReturnType<typeof pinned>;
    expectBytes(page.bytes, new Uint8Array(B));
    expect(world.blocksReserved()).toBe(1);
  });
});
