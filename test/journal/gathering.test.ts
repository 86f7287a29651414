/** Callers that commit in a loop share their commits; one who commits alone waits for nobody. */
import { beforeEach, describe, expect, test } from 'vitest';
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import { Count, sumStatistics } from '#dist/src/sync/statistics.js';
import {
  type AllocWorld,
  addBlock,
  BLOCK_BYTES,
  formatForTest,
  inHandle,
  makeAllocWorld,
  setMark,
} from '../support/alloc-world.js';
import { Scheduler } from '../support/scheduler.js';

const CALLERS = 4;
const ROUNDS = 6;
const FLUSH_MS = 2;

let device: MemoryDevice;
let world: AllocWorld;
let blocks: number[];

beforeEach(() => {
  device = new MemoryDevice(2048 * BLOCK_BYTES);
  formatForTest(device, 512);
  world = makeAllocWorld(device);
  blocks = Array.from({ length: CALLERS }, () => world.inHandle(4, () => addBlock(world, world.task)));
  world.run(world.journal.commit(world.task));
});

/** Threads that commit over and over, on a device whose flushes take their time. */
function loop(callers: number, rounds: number): Scheduler {
  let state = 7;
  const scheduler = new Scheduler(world.arena, () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >>> 8) / 2 ** 23;
  });
  device.onFlush = () => {
    scheduler.nowMs += FLUSH_MS;
  };
  for (let i = 0; i < callers; i++) {
    scheduler.spawn(`caller ${i}`, function* (task) {
      for (let round = 0; round < rounds; round++) {
        yield* inHandle(world, task, 2, () => setMark(world, task, blocks[i], round));
        yield* world.journal.commit(task);
      }
    });
  }
  return scheduler;
}

const commits = (): number => sumStatistics(world.arena)[Count.Commits];

describe('threads that commit in a loop', () => {
  test('share each commit, all of them, once the first has shown how many they are', () => {
    const before = commits();
    loop(CALLERS, ROUNDS).finish();
    expect(commits() - before).toBeLessThanOrEqual(ROUNDS + 2);
  });

  test('wait for one who does not come back once, and no longer than a commit takes', () => {
    loop(CALLERS, ROUNDS).finish();
    const scheduler = loop(1, ROUNDS);
    const before = commits();
    const began = scheduler.nowMs;
    scheduler.finish();
    expect(commits() - before).toBe(ROUNDS);
    const waited = scheduler.nowMs - began - ROUNDS * FLUSH_MS;
    expect(waited).toBeGreaterThan(0);
    expect(waited).toBeLessThanOrEqual(FLUSH_MS);
  });
});
