/**
 * A truncation sets the size in one transaction and frees the extents in later ones. A commit of another thread between the two,
 * and then a power cut, left a file with written pages behind its end: the checker called it damaged, and the pages would have shown
 * again when the file grew. Now the transaction that sets the size puts the inode on the orphan list, with what is left to do, and
 * the next opening does it. Found by the power-cut machine, with four threads.
 */
import { expect, it } from 'vitest';
import type { MemoryDevice } from '#dist/src/device/memory-device.js';
import { mendTail } from '#dist/src/file/edge.js';
import { truncate } from '#dist/src/file/truncate.js';
import { checkDevice } from '#dist/src/store/check.js';
import { FileWorld, pattern, step } from '../support/file-world.js';

const BLOCK = 4096;
const SIZE = 3 * BLOCK + 2462;

it.each(['truncate:sized', 'truncate:dropped'] as const)('is finished after a power cut at %s', (point) => {
  const world = new FileWorld();
  const slot = world.create('file');
  const bytes = pattern(1, 17 * BLOCK);
  world.write(slot, bytes, 0);
  world.sync();
  const other = world.attach();
  const truncation = truncate(world.task, world.engine, slot, SIZE);
  expect(step(world.task, truncation, point)).toEqual({ at: 'point' });
  world.runAs(other, other.engine.journal.commit(other.task));

  const left = world.device.clone() as MemoryDevice;
  expect(checkDevice(left.clone()).errors).toEqual([]);
  const after = new FileWorld({}, left);
  expect(
    after.run(after.engine.inodes.finishOrphans(after.task, (slot) => mendTail(after.task, after.engine, slot))),
  ).toBe(1);
  const found = after.create('file');
  expect(after.sizeOf(found)).toBe(SIZE);
  expect(Buffer.compare(after.read(found, 0, SIZE), bytes.subarray(0, SIZE))).toBe(0);
  after.run(truncate(after.task, after.engine, found, 17 * BLOCK));
  const tail = after.read(found, SIZE, 17 * BLOCK - SIZE);
  expect(Buffer.compare(tail, new Uint8Array(tail.length))).toBe(0);
  expect(after.finish().errors).toEqual([]);
});
