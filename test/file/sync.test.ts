import { describe, expect, it } from 'vitest';
import { StoreError } from '#dist/src/errors.js';
import { datasync, type ErrorCursor, sync } from '#dist/src/file/sync.js';
import { diskSizeOf, isInodeDirty } from '#dist/src/inode/inode.js';
import type { Slot } from '#dist/src/units.js';
import { expectBytes, FileWorld, pattern } from '../support/file-world.js';

const B = 4096;

function synced(world: FileWorld, slot: Slot, cursor: ErrorCursor, operation = sync): void {
  world.run(operation(world.task, world.engine, slot, cursor));
}

describe('sync', () => {
  it('makes data, size and record durable: a copy of the device has them', () => {
    for (const operation of [sync, datasync]) {
      const world = new FileWorld();
      const slot = world.create('a');
      world.write(slot, pattern(1, 3 * B + 5), 100);
      synced(world, slot, world.cursor(slot), operation);
      expect(diskSizeOf(world.arena, slot)).toBe(3 * B + 105);
      expect(world.engine.cache.dirtyPagesOf(slot)).toBe(0);
      expect(world.engine.journal.durable).toBe(world.engine.journal.running - 1);
      if (operation === sync) expect(isInodeDirty(world.arena, slot)).toBe(false);
      const reopened = new FileWorld({}, world.device.clone());
      const again = reopened.create('a');
      expectBytes(reopened.read(again, 100, 4 * B), pattern(1, 3 * B + 5));
    }
  });

  it('reports an error of writeback once to every open file, and keeps the pages', () => {
    const world = new FileWorld();
    const slot = world.create();
    const first = world.cursor(slot);
    const second = world.cursor(slot);
    world.write(slot, pattern(1, 3 * B), 0);
    world.device.onWrite = () => {
      throw new StoreError('EIO', { syscall: 'write' });
    };
    const eio = expect.objectContaining({ code: 'EIO' });
    world.run(world.engine.cache.writeRange(world.task, slot, 0, 10, { wait: true }));
    const late = world.cursor(slot);
    expect(first.take(world.engine.cache, slot)).toEqual(eio);
    expect(first.take(world.engine.cache, slot)).toBeNull();
    expect(late.take(world.engine.cache, slot)).toEqual(eio);
    expect(world.cursor(slot).take(world.engine.cache, slot)).toBeNull();
    expect(() => synced(world, slot, second)).toThrow(eio);
    expect(world.engine.cache.dirtyPagesOf(slot)).toBe(3);
    expectBytes(world.read(slot, 0, 3 * B), pattern(1, 3 * B));
  });
});
