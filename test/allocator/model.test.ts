/**
 * Random work on the allocator against a plain model: a set of used blocks, a set of claims, a set of frees per transaction.
 * After every commit the bitmaps on the device are the model's.
 */
import { expect, test } from 'vitest';
import { ClaimedRun } from '#dist/src/allocator/group-search.js';
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import { StoreError } from '#dist/src/errors.js';
import { isFixedBlock } from '#dist/src/format/geometry.js';
import { reached } from '#dist/src/journal/transaction-number.js';
import { Header } from '#dist/src/sync/layout.js';
import {
  type AllocWorld,
  type AllocWorldOptions,
  BLOCK_BYTES,
  formatForTest,
  makeAllocWorld,
  superblockOn,
  usableBlocks,
  usedOn,
} from '../support/alloc-world.js';
import { seededRandom } from '../support/random.js';

const STEPS = 1500;

class Model {
  readonly used: Set<number>;
  readonly claims: ClaimedRun[] = [];
  /** Freed blocks, with their transaction: until that is durable they must not be handed out. */
  readonly quarantined = new Map<number, number>();

  constructor(
    readonly world: AllocWorld,
    device: MemoryDevice,
  ) {
    this.used = usedOn(device, world.geometry);
  }

  /** A run handed out overlaps nothing. */
  check(run: ClaimedRun, hint: string): void {
    for (let block = run.start; block < run.start + run.length; block++) {
      expect(this.used.has(block) || this.isQuarantined(block) || isFixedBlock(this.world.geometry, block), hint).toBe(
        false,
      );
    }
    for (const claim of this.claims) {
      const apart = claim.start + claim.length <= run.start || run.start + run.length <= claim.start;
      expect(apart, hint).toBe(true);
    }
  }

  private isQuarantined(block: number): boolean {
    const transaction = this.quarantined.get(block);
    return transaction !== undefined && !reached(this.world.journal.durable, transaction);
  }

  /** A random run of used blocks. */
  victim(random: () => number): ClaimedRun | null {
    const blocks = [...this.used];
    if (blocks.length === 0) return null;
    const start = blocks[Math.floor(random() * blocks.length)];
    const most = 1 + Math.floor(random() * 20);
    let length = 1;
    while (length < most && this.used.has(start + length)) length += 1;
    return { start, length };
  }
}

function* range(run: ClaimedRun): Generator<number> {
  for (let block = run.start; block < run.start + run.length; block++) yield block;
}

interface Shape extends AllocWorldOptions {
  groups: number;
  blocksPerGroup: number;
}

const ROOMY: Shape = { groups: 6, blocksPerGroup: 256, exclusions: 128 };
/** Bitmaps are evicted and read again, transactions are small, records are few. */
const TIGHT: Shape = { groups: 60, blocksPerGroup: 64, exclusions: 48, frames: 40, commitBlocks: 18 };

test.each([
  [11, ROOMY],
  [12, ROOMY],
  [13, TIGHT],
  [14, TIGHT],
])('seed %i', (seed, shape) => {
  const random = seededRandom(seed);
  const device = new MemoryDevice(shape.groups * shape.blocksPerGroup * BLOCK_BYTES);
  formatForTest(device, shape.blocksPerGroup);
  let world = makeAllocWorld(device, shape);
  let model = new Model(world, device);

  const commitAndCompare = (hint: string): void => {
    world.run(world.journal.commit(world.task));
    expect(usedOn(device, world.geometry), hint).toEqual(model.used);
    expect(superblockOn(device, 0).blocksFree, hint).toBe(usableBlocks(world.geometry) - model.used.size);
    expect(world.quarantined(), hint).toBe(0);
  };

  const step = (hint: string): void => {
    const what = random();
    const goal = Math.floor(random() * world.geometry.blocks);
    // Fill the device and empty it in turns.
    const isFilling = Math.floor(Number(hint.split(' ')[3]) / 300) % 2 === 0;
    if (what < 0.4 && model.claims.length < Math.floor(shape.exclusions! / 4) && (isFilling || random() < 0.5)) {
      const run = new ClaimedRun();
      world.run(world.allocator.claim(world.task, goal, 1 + Math.floor(random() ** 3 * 200), run));
      model.check(run, hint);
      model.claims.push(run);
    } else if (what < 0.6) {
      const run = model.claims.splice(Math.floor(random() * model.claims.length), 1)[0];
      if (run === undefined) return;
      const kept = random() < 0.8 ? run.length : Math.floor(random() * run.length);
      if (kept > 0) {
        world.inHandle(1, () => world.allocator.publish(world.task, run.start, kept, 0));
        for (const block of range({ start: run.start, length: kept })) model.used.add(block);
      }
      if (kept < run.length) world.allocator.unclaim(world.task, run.start + kept, run.length - kept);
    } else if (what < 0.7) {
      const block = world.inHandle(3, () => world.allocator.allocateMetadata(world.task, goal));
      model.check({ start: block, length: 1 }, hint);
      model.used.add(block);
    } else if (what < 0.97) {
      const run = model.victim(random);
      if (run === null) return;
      world.inHandle(1, () => world.allocator.free(world.task, run.start, run.length));
      for (const block of range(run)) {
        model.used.delete(block);
        model.quarantined.set(block, world.journal.running);
      }
    } else if (what < 0.985) {
      world.allocator.beginTrim();
      while (world.run(world.allocator.trimSome(world.task)));
    } else {
      commitAndCompare(hint);
    }
  };

  /** Odd seeds discard short runs later. */
  const watchDiscards = (): void => {
    world.arena.words[Header.DiscardLater] = seed % 2 === 1 ? 8 : 0;
    device.onDiscard = (position, length) =>
      model.check({ start: position / BLOCK_BYTES, length: length / BLOCK_BYTES }, `seed ${seed}: discarded`);
  };
  watchDiscards();

  for (let i = 0; i < STEPS; i++) {
    try {
      step(`seed ${seed} step ${i}`);
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'ENOSPC') throw error;
    }
    if (i % 500 === 499) {
      for (const run of model.claims.splice(0)) world.allocator.unclaim(world.task, run.start, run.length);
      commitAndCompare(`seed ${seed} step ${i}`);
      expect(world.free()).toBe(usableBlocks(world.geometry) - model.used.size);
      expect(world.arena.words[Header.ExclusionCount]).toBe(shape.exclusions);
      world = makeAllocWorld(device, shape);
      model = new Model(world, device);
      watchDiscards();
    }
  }
});
