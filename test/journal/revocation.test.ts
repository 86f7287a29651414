/** A block that was metadata and is somebody's data now: what the log still holds of it must not come back. */
import { beforeEach, expect, test } from 'vitest';
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import {
  type AllocWorld,
  addBlock,
  BLOCK_BYTES,
  formatForTest,
  makeAllocWorld,
  readBlock,
  readInPlace,
} from '../support/alloc-world.js';

const DATA = 0xd5;

let device: MemoryDevice;
let world: AllocWorld;

beforeEach(() => {
  device = new MemoryDevice(2048 * BLOCK_BYTES);
  formatForTest(device, 512);
  world = makeAllocWorld(device);
});

/** A metadata block whose image is in the log, freed by a later transaction that is durable; then written over with data. */
function freedAndReused(): number {
  const block = world.inHandle(4, () => addBlock(world, world.task, 1));
  world.run(world.journal.commit(world.task));
  world.inHandle(8, function* () {
    yield* world.metadata.forget(world.task, block);
    yield* world.allocator.free(world.task, block, 1);
  });
  expect(world.quarantined()).toBe(1);
  world.run(world.journal.commit(world.task));
  expect(world.quarantined()).toBe(0);
  device.write([new Uint8Array(BLOCK_BYTES).fill(DATA)], block * BLOCK_BYTES);
  return block;
}

const isData = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === DATA);

test('recovery leaves the data alone', () => {
  const block = freedAndReused();
  expect(isData(readBlock(device, block))).toBe(true);
});

test('so does a checkpoint, and recovery after it', () => {
  const block = freedAndReused();
  world.run(world.journal.checkpoint(world.task));
  expect(isData(readInPlace(device, block))).toBe(true);
  expect(isData(readBlock(device, block))).toBe(true);
});

test('a block that is metadata again gets its new image', () => {
  const block = freedAndReused();
  const again = world.inHandle(4, () => addBlock(world, world.task, 2));
  expect(again).toBe(block);
  world.run(world.journal.commit(world.task));
  expect(readBlock(device, block)[100]).toBe(2);
  world.run(world.journal.checkpoint(world.task));
  expect(readInPlace(device, block)[100]).toBe(2);
});
