/** Real threads on one allocator and one journal: every block has one owner, and the sums are right at the end. */
import { describe, expect, test } from 'vitest';
import { ClaimedRun } from '#dist/src/allocator/group-search.js';
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import { Header, Journal as Word } from '#dist/src/sync/layout.js';
import { Count, sumStatistics } from '#dist/src/sync/statistics.js';
import { SharedDevice } from '../support/alloc-parts.mjs';
import {
  type AllocWorld,
  BLOCK_BYTES,
  formatForTest,
  inHandle,
  makeAllocWorld,
  superblockOn,
  usableBlocks,
  usedOn,
} from '../support/alloc-world.js';
import { bundledThread } from '../support/bundled-thread.js';
import { seededRandom } from '../support/random.js';
import { Scheduler } from '../support/scheduler.js';
import { startThread } from '../support/threads.js';

const JOBS = bundledThread('alloc-jobs');
const THREADS = 5;
const BLOCKS = 6 * 512;

async function runThreads(world: AllocWorld, job: string, data: object): Promise<unknown[]> {
  const threads = Array.from({ length: THREADS }, (_, seed) =>
    startThread(world.arena, JOBS, job, { ...data, shared: world.shared, seed: seed + 1 }),
  );
  const reports = await Promise.all(threads.map((thread) => thread.report));
  for (const report of reports) expect(report.message).toBeUndefined();
  return reports.map((report) => report.result);
}

function newStore(): { deviceBuffer: SharedArrayBuffer; device: SharedDevice; world: AllocWorld } {
  const deviceBuffer = new SharedArrayBuffer(BLOCKS * BLOCK_BYTES);
  const device = new SharedDevice(deviceBuffer);
  formatForTest(device, 512);
  return { deviceBuffer, device, world: makeAllocWorld(device, { exclusions: 512 }) };
}

describe('threads on one allocator', () => {
  test('own what they were given, alone', async () => {
    const { deviceBuffer, device, world } = newStore();
    const initial = usedOn(device, world.geometry);
    const ownersBuffer = new SharedArrayBuffer(BLOCKS * 4);
    const owners = new Int32Array(ownersBuffer);
    for (const block of initial) owners[block] = -1;
    const left = await runThreads(world, 'churn', { deviceBuffer, ownersBuffer, turns: 1500 });
    world.run(world.journal.close(world.task));
    const used = usedOn(device, world.geometry);
    expect(used.size).toBe(initial.size + (left as number[]).reduce((a, b) => a + b, 0));
    for (const block of used) expect(owners[block]).not.toBe(0);
    expect(superblockOn(device, 0).blocksFree).toBe(usableBlocks(world.geometry) - used.size);
    expect(world.free()).toBe(usableBlocks(world.geometry) - used.size);
    expect(world.reserved()).toBe(0);
    expect(world.arena.words[Header.ExclusionCount]).toBe(512);
    expect(world.arena.words[Header.ExclusionClaims]).toBe(0);
    expect(world.arena.words[world.arena.layout.journal + Word.Credits]).toBe(0);
  });

  test('share commits', async () => {
    const { deviceBuffer, device, world } = newStore();
    const initial = usedOn(device, world.geometry).size;
    const turns = 300;
    await runThreads(world, 'commits', { deviceBuffer, turns });
    expect(usedOn(device, world.geometry).size).toBe(initial + THREADS * turns);
    expect(sumStatistics(world.arena)[Count.Commits]).toBeLessThanOrEqual(THREADS * turns);
    expect(superblockOn(device, 0).blocksFree).toBe(world.free());
  });
});

describe('logical threads under random schedules', () => {
  const SEEDS = Array.from({ length: 12 }, (_, i) => 100 + i);

  /** Few records, a full device, small transactions: everybody waits for everybody. */
  test.each(SEEDS)('seed %i: nobody waits forever, and every block has one owner', (seed) => {
    const random = seededRandom(seed);
    const device = new MemoryDevice(3 * 128 * BLOCK_BYTES);
    formatForTest(device, 128);
    const world = makeAllocWorld(device, { exclusions: 40, commitBlocks: 18, threads: 12 });
    const { allocator, arena, journal } = world;
    const initial = usedOn(device, world.geometry).size;
    const owners = new Map<number, string>();
    const scheduler = new Scheduler(arena, random);
    for (let fiber = 0; fiber < 5; fiber++) {
      const name = `fiber ${fiber}`;
      scheduler.spawn(name, function* (task) {
        const mine: ClaimedRun[] = [];
        for (let turn = 0; turn < 40; turn++) {
          const length = 1 + Math.floor(random() * 24);
          if (mine.length > 0 && random() < 0.45) {
            const [run] = mine.splice(Math.floor(random() * mine.length), 1);
            for (let block = run.start; block < run.start + run.length; block++) owners.delete(block);
            yield* inHandle(world, task, 1, () => allocator.free(task, run.start, run.length));
          } else if (yield* allocator.reserveWaiting(task, length)) {
            const run = new ClaimedRun();
            yield* allocator.claim(task, Math.floor(random() * world.geometry.blocks), length, run);
            for (let block = run.start; block < run.start + run.length; block++) {
              expect(owners.has(block), `block ${block} of ${owners.get(block)}`).toBe(false);
              owners.set(block, name);
            }
            yield task.point('writeback:mapped');
            yield* inHandle(world, task, 1, () => allocator.publish(task, run.start, run.length, length));
            mine.push(run);
          }
        }
      });
    }
    scheduler.finish();
    world.run(journal.commit(world.task));
    expect(usedOn(device, world.geometry).size).toBe(initial + owners.size);
    expect(world.reserved()).toBe(0);
    expect(world.quarantined()).toBe(0);
    expect(arena.words[Header.ExclusionCount]).toBe(40);
  });
});
