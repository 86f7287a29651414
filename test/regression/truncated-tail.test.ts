/**
 * A file was cut inside a block, written again from the next byte on to the block's end, and made longer; nothing was synced, but
 * the background committed. After a power cut the longer file showed, in that block, the bytes that had been cut off: the zeros
 * behind the cut were only in the cache, and the longer size, which had no tail to care for (it was a multiple of the block), went
 * to the device ahead of them. Found by the power-cut machine, in a sequence of three operations.
 */
import { expect, it } from 'vitest';
import type { MemoryDevice } from '#dist/src/device/memory-device.js';
import { truncate } from '#dist/src/file/truncate.js';
import { FileWorld, pattern } from '../support/file-world.js';

const BLOCK = 4096;

it('shows nothing that was cut off, after the file has grown and the power has gone', () => {
  const world = new FileWorld();
  const { task, engine } = world;
  const slot = world.create('file');
  world.write(slot, pattern(1, 2 * BLOCK), 0);
  world.sync();
  world.run(truncate(task, engine, slot, 5000));
  world.write(slot, pattern(2, BLOCK), BLOCK);
  world.run(truncate(task, engine, slot, 10 * BLOCK));
  world.run(engine.journal.commit(task));

  const after = new FileWorld({}, world.device.clone() as MemoryDevice);
  const found = after.create('file');
  expect(after.sizeOf(found)).toBe(10 * BLOCK);
  const tail = after.read(found, 5000, 2 * BLOCK - 5000);
  expect(Buffer.compare(tail, new Uint8Array(tail.length))).toBe(0);
});
