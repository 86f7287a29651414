/**
 * On a store with data checksums, zeroing a range that had data turned its extents into unwritten ones, in a transaction that need
 * not be durable; writeback then wrote new data to the same blocks, in place, as it does where an extent is unwritten. After a power
 * cut in between the extent was still a written one, with the old checksum over the new content, and reading it failed. Now the
 * zeroing is durable before anybody can write again. Found by the power-cut machine, in a sequence of three operations.
 */
import { expect, it } from 'vitest';
import type { MemoryDevice } from '#dist/src/device/memory-device.js';
import { zeroRange } from '#dist/src/file/punch.js';
import { MAX_FILE_PAGES } from '#dist/src/units.js';
import { FileWorld, pattern } from '../support/file-world.js';

const BLOCK = 4096;

it('can be read after a power cut between zeroing a block and the commit of what was written to it then', () => {
  const world = new FileWorld({ dataChecksums: true });
  const slot = world.create('file');
  world.write(slot, pattern(1, 5 * BLOCK), 0);
  world.sync();
  world.run(zeroRange(world.task, world.engine, slot, BLOCK, 2 * BLOCK, false));
  world.write(slot, pattern(2, BLOCK), BLOCK);
  const writing = world.engine.cache.writeRange(world.task, slot, 0, MAX_FILE_PAGES, { wait: true });
  expect(world.run(writing)).toBeNull();

  const after = new FileWorld({ dataChecksums: true }, world.device.clone() as MemoryDevice);
  const found = after.create('file');
  const block = Buffer.from(after.read(found, BLOCK, BLOCK));
  expect(block.equals(new Uint8Array(BLOCK))).toBe(true);
  expect(after.finish().errors).toEqual([]);
});
