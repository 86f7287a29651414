/** What a crash leaves that cuts a truncation short: the new size is durable, the zeros behind it and the freed blocks are not. */
import { expect } from 'vitest';
import type { MemoryDevice } from '#dist/src/device/memory-device.js';
import { truncate } from '#dist/src/file/truncate.js';
import { FileWorld, step } from './file-world.js';

/** The device, with one file `file` that held `bytes` and was to be cut to `sizeBytes`. */
export function cutTruncation(bytes: Uint8Array, sizeBytes: number): MemoryDevice {
  const world = new FileWorld();
  const slot = world.create('file');
  world.write(slot, bytes, 0);
  world.sync();
  const other = world.attach();
  const truncation = truncate(world.task, world.engine, slot, sizeBytes);
  expect(step(world.task, truncation, 'truncate:sized')).toEqual({ at: 'point' });
  world.runAs(other, other.engine.journal.commit(other.task));
  return world.device.clone();
}
