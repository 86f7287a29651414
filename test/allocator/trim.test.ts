/** Trimming: what is discarded later, and what it must leave alone. */
import { beforeEach, expect, test } from 'vitest';
import { ClaimedRun } from '#dist/src/allocator/group-search.js';
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import { Header, TRIM_RUNS } from '#dist/src/sync/layout.js';
import {
  type AllocWorld,
  BLOCK_BYTES,
  formatForTest,
  inHandle,
  makeAllocWorld,
  usableBlocks,
  usedOn,
} from '../support/alloc-world.js';
import { seededRandom } from '../support/random.js';
import { Scheduler } from '../support/scheduler.js';

const GROUP = 512;
const GROUPS = 4;
const DISCARD_LATER = 32;

let device: MemoryDevice;
let world: AllocWorld;
/** Discarded so far, as `start+length`. */
let discarded: string[];

function open(exclusions = 256): void {
  device = new MemoryDevice(GROUPS * GROUP * BLOCK_BYTES);
  formatForTest(device, GROUP);
  world = makeAllocWorld(device, { exclusions });
  world.arena.words[Header.DiscardLater] = DISCARD_LATER;
  discarded = [];
  device.onDiscard = (position, length) => {
    discarded.push(`${position / BLOCK_BYTES}+${length / BLOCK_BYTES}`);
  };
}

beforeEach(() => open());

function allocate(goal: number, length: number): ClaimedRun {
  const run = new ClaimedRun();
  world.run(world.allocator.claim(world.task, goal, length, run));
  world.inHandle(1, () => world.allocator.publish(world.task, run.start, run.length, 0));
  return run;
}

function free(start: number, length: number): void {
  world.inHandle(1, () => world.allocator.free(world.task, start, length));
}

const commit = (): void => world.run(world.journal.commit(world.task));

/** A round, and how many runs it came to. */
function trim(): number {
  let runs = 0;
  world.allocator.beginTrim();
  while (world.run(world.allocator.trimSome(world.task))) runs += 1;
  return runs;
}

test('short runs are released as they are, and discarded by the next round; long ones at once', () => {
  const { start } = allocate(100, 200);
  commit();
  free(start, 10);
  free(start + 50, 40);
  commit();
  expect(discarded).toEqual([`${start + 50}+40`]);
  const before = world.free();
  expect(trim()).toBe(1);
  expect(discarded.slice(1)).toEqual([`${start}+10`]);
  expect(world.free()).toBe(before);
  expect(world.quarantined()).toBe(0);
  expect(trim()).toBe(0);
});

test('runs that touch are discarded as one, and nothing between those that do not', () => {
  const { start } = allocate(100, 200);
  commit();
  for (const [first, length] of [
    [0, 5],
    [20, 5],
    [5, 5],
    [15, 5],
  ]) {
    free(start + first, length);
    commit();
  }
  expect(trim()).toBe(2);
  expect(discarded).toEqual([`${start}+10`, `${start + 15}+10`]);
});

test('where the queue is full, runs are discarded at once', () => {
  device = new MemoryDevice(2 * 4096 * BLOCK_BYTES);
  formatForTest(device, 4096);
  world = makeAllocWorld(device, { exclusions: 4096 });
  world.arena.words[Header.DiscardLater] = DISCARD_LATER;
  let blocks = 0;
  device.onDiscard = (_position, length) => {
    blocks += length / BLOCK_BYTES;
  };
  const { start } = allocate(200, TRIM_RUNS * 2 + 40);
  commit();
  for (let i = 0; i < TRIM_RUNS + 10; i++) free(start + 2 * i, 1);
  commit();
  expect(blocks).toBe(10);
  expect(trim()).toBe(TRIM_RUNS);
  expect(blocks).toBe(TRIM_RUNS + 10);
});

test('what was taken again in the meantime is left alone', () => {
  const { start } = allocate(100, 200);
  commit();
  free(start + 20, 30);
  commit();
  const again = allocate(start + 20, 10);
  expect(again.start).toBe(start + 20);
  const claimed = new ClaimedRun();
  world.run(world.allocator.claim(world.task, start + 30, 5, claimed));
  trim();
  expect(discarded).toEqual([`${start + 35}+15`]);
  world.allocator.unclaim(world.task, claimed.start, claimed.length);
});

test('what a transaction freed that is not durable is not discarded', () => {
  const { start } = allocate(100, 200);
  commit();
  free(start, 10);
  free(start + 20, 10);
  commit();
  free(start + 10, 5);
  trim();
  expect(discarded).toEqual([`${start}+10`, `${start + 20}+10`]);
  commit();
  trim();
  expect(discarded.slice(2)).toEqual([`${start + 10}+5`]);
});

test('a round comes to every group', () => {
  const runs = Array.from({ length: GROUPS }, (_, group) => allocate(group * GROUP + 100, 200));
  commit();
  for (const { start } of runs) for (let i = 0; i < 100; i += 4) free(start + i, 1);
  commit();
  expect(discarded).toEqual([]);
  expect(trim()).toBe(25 * GROUPS);
  expect(discarded.length).toBe(25 * GROUPS);
});

test('on a full device a round gives up, and a later one has it', () => {
  const runs: ClaimedRun[] = [];
  for (let left = world.free(); left > 0; left = world.free()) runs.push(allocate(0, Math.min(64, left)));
  commit();
  const { start, length } = runs[3];
  free(start, Math.min(20, length));
  commit();
  expect(trim()).toBe(1);
  expect(discarded).toEqual([]);
  for (const run of runs.slice(4)) free(run.start, run.length);
  commit();
  discarded = [];
  trim();
  expect(discarded).toContain(`${start}+20`);
});

/** Beside others who claim, free and commit on a device that is nearly full: nothing that somebody has is discarded. */
test.each([1, 2, 3, 4, 5, 6, 7, 8])('beside others on a crowded device, seed %i', (seed) => {
  open(48);
  const random = seededRandom(seed);
  const owners = new Map<number, number>();
  let blocks = 0;
  device.onDiscard = (position, length) => {
    blocks += length / BLOCK_BYTES;
    for (let block = position / BLOCK_BYTES; block < (position + length) / BLOCK_BYTES; block++) {
      expect(owners.has(block), `block ${block} of ${owners.get(block)} is discarded`).toBe(false);
    }
  };
  const { allocator } = world;
  const initial = usedOn(device, world.geometry).size;
  const scheduler = new Scheduler(world.arena, random);
  let busy = 4;
  for (let fiber = 0; fiber < 4; fiber++) {
    scheduler.spawn(`fiber ${fiber}`, function* (task) {
      const mine: ClaimedRun[] = [];
      for (let turn = 0; turn < 60; turn++) {
        const length = 1 + Math.floor(random() * 60);
        if (mine.length > 0 && random() < 0.45) {
          const [run] = mine.splice(Math.floor(random() * mine.length), 1);
          for (let block = run.start; block < run.start + run.length; block++) owners.delete(block);
          yield* inHandle(world, task, 1, () => allocator.free(task, run.start, run.length));
        } else if (yield* allocator.reserveWaiting(task, length)) {
          const run = new ClaimedRun();
          yield* allocator.claim(task, Math.floor(random() * world.geometry.blocks), length, run);
          for (let block = run.start; block < run.start + run.length; block++) owners.set(block, fiber);
          yield task.point('writeback:mapped');
          yield* inHandle(world, task, 1, () => allocator.publish(task, run.start, run.length, length));
          mine.push(run);
        }
      }
      busy -= 1;
    });
  }
  scheduler.spawn('trimmer', function* (task) {
    while (busy > 0) {
      yield* world.journal.commit(task);
      allocator.beginTrim();
      while (yield* allocator.trimSome(task)) yield task.point('writeback:mapped');
    }
  });
  scheduler.finish();
  commit();
  trim();
  expect(blocks).toBeGreaterThan(0);
  expect(usedOn(device, world.geometry).size).toBe(initial + owners.size);
  expect(world.free()).toBe(usableBlocks(world.geometry) - initial - owners.size);
  expect(world.reserved()).toBe(0);
  expect(world.quarantined()).toBe(0);
  expect(world.arena.words[Header.ExclusionCount]).toBe(48);
});
