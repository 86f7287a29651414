/** What a checkpoint is told of the log's images, against what the log says; and when it must not believe it. */
import { beforeEach, expect, test } from 'vitest';
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import type { Log } from '#dist/src/journal/log.js';
import { type LogImage, LogScan } from '#dist/src/journal/log-scan.js';
import {
  type AllocWorld,
  addBlock,
  BLOCK_BYTES,
  formatForTest,
  makeAllocWorld,
  readBlock,
  readInPlace,
  setMark,
} from '../support/alloc-world.js';
import { seededRandom } from '../support/random.js';

const STEPS = 600;

let device: MemoryDevice;
let world: AllocWorld;
let log: Log;

beforeEach(() => {
  device = new MemoryDevice(2048 * BLOCK_BYTES);
  formatForTest(device, 512);
  world = makeAllocWorld(device);
  world.inHandle(4, () => addBlock(world, world.task));
  commit();
  log = (world.journal as unknown as { parts: { log: Log } }).parts.log;
});

const commit = (): void => world.run(world.journal.commit(world.task));

function free(block: number): void {
  world.inHandle(8, function* () {
    yield* world.metadata.forget(world.task, block);
    yield* world.allocator.free(world.task, block, 1);
  });
}

function told(): LogImage[] {
  const { sequence, position } = log.durableEnd();
  if (sequence < log.tail.sequence) return [];
  const length = log.area.distance(log.tail.position, position) || log.area.length;
  const images = log.images.newest(log.tail, sequence, length);
  if (images === null) throw new Error('the images are not kept');
  return images;
}

function found(): LogImage[] {
  const scan = new LogScan(world.task, device, log.area, log.tail);
  world.run(scan.run(log.durableEnd().sequence, true));
  scan.close();
  expect(scan.end).toEqual({
    sequence: log.durableEnd().sequence + 1,
    position: log.durableEnd().position,
  });
  return scan.live();
}

test('it is what a scan of the log finds, whenever no freed page waits for its transaction', () => {
  const random = seededRandom(20);
  const blocks: number[] = [];
  let compared = 0;
  let pending = 0;
  for (let step = 0; step < STEPS; step++) {
    const chance = random();
    const block = blocks[Math.floor(random() * blocks.length)];
    if (blocks.length < 5 || chance < 0.1)
      blocks.push(world.inHandle(4, () => addBlock(world, world.task, step & 255)));
    else if (chance < 0.15) free(blocks.splice(blocks.indexOf(block), 1)[0]);
    else if (chance < 0.6) world.inHandle(2, () => setMark(world, world.task, block, step & 255));
    else if (chance < 0.98) commit();
    else world.run(world.journal.checkpoint(world.task));
    if (log.images.forgottenEver === log.images.forgottenDurably) {
      expect(told(), `step ${step}`).toEqual(found());
      compared += told().length > 0 ? 1 : 0;
    } else {
      pending += 1;
    }
  }
  expect(compared).toBeGreaterThan(STEPS / 3);
  expect(pending).toBeGreaterThan(0);
});

test('a page freed by a transaction that is not durable keeps its last image through a checkpoint', () => {
  const block = world.inHandle(4, () => addBlock(world, world.task, 1));
  commit();
  world.run(world.journal.checkpoint(world.task));
  world.inHandle(2, () => setMark(world, world.task, block, 2));
  commit();
  expect(readInPlace(device, block)[100]).toBe(1);
  free(block);
  world.run(world.journal.checkpoint(world.task));
  expect(readBlock(device, block)[100]).toBe(2);
});

test('a checkpoint reads of the log only what it writes in place', () => {
  const block = world.inHandle(4, () => addBlock(world, world.task, 1));
  commit();
  world.run(world.journal.checkpoint(world.task));
  for (let mark = 2; mark < 12; mark++) {
    world.inHandle(2, () => setMark(world, world.task, block, mark));
    commit();
  }
  const { read } = device;
  let blocks = 0;
  device.read = (buffers, positionBytes) => {
    for (const buffer of buffers) blocks += buffer.length / BLOCK_BYTES;
    return read.call(device, buffers, positionBytes);
  };
  world.run(world.journal.checkpoint(world.task));
  device.read = read;
  expect(readInPlace(device, block)[100]).toBe(11);
  expect(blocks).toBe(1);
});
