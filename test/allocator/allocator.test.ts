/** Claims, publishing, freeing, quarantine and promises, call by call. */
import { beforeEach, describe, expect, test } from 'vitest';
import { ClaimedRun } from '#dist/src/allocator/group-search.js';
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import { StoreError } from '#dist/src/errors.js';
import { bitmapBlock, groupOf, isFixedBlock } from '#dist/src/format/geometry.js';
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

const GROUP = 512;
const GROUPS = 4;

let device: MemoryDevice;
let world: AllocWorld;
/** Blocks in use from the start. */
let initial: number;

function open(options: AllocWorldOptions = {}): void {
  device = new MemoryDevice(GROUPS * GROUP * BLOCK_BYTES);
  formatForTest(device, GROUP);
  world = makeAllocWorld(device, options);
  initial = usedOn(device, world.geometry).size;
}

beforeEach(() => open());

function claim(goal: number, length: number): ClaimedRun {
  const run = new ClaimedRun();
  world.run(world.allocator.claim(world.task, goal, length, run));
  return run;
}

function publish(run: ClaimedRun, reserved = 0): void {
  world.inHandle(1, () => world.allocator.publish(world.task, run.start, run.length, reserved));
}

function allocate(goal: number, length: number): ClaimedRun {
  const run = claim(goal, length);
  publish(run);
  return run;
}

function free(run: ClaimedRun): void {
  world.inHandle(1, () => world.allocator.free(world.task, run.start, run.length));
}

const commit = (): void => world.run(world.journal.commit(world.task));

/** Claims everything that can be had, in runs of at most `length`. */
function claimAll(length: number): ClaimedRun[] {
  const runs: ClaimedRun[] = [];
  try {
    for (;;) runs.push(claim(0, length));
  } catch (error) {
    expect(error).toMatchObject({ code: 'ENOSPC' });
  }
  return runs;
}

describe('claims', () => {
  test('continue at the goal', () => {
    const first = allocate(100, 20);
    const second = allocate(first.start + 20, 30);
    expect(second).toEqual({ start: first.start + 20, length: 30 });
  });

  test('are nobody else’s, published or not, until they are given back', () => {
    const first = claim(100, 20);
    const second = claim(100, 20);
    expect(second.start >= first.start + 20 || second.start + 20 <= first.start).toBe(true);
    world.allocator.unclaim(world.task, first.start, first.length);
    expect(claim(first.start, 20)).toEqual(first);
  });

  test('may be published and given back in parts', () => {
    const { start } = claim(100, 30);
    publish({ start: start + 10, length: 5 });
    world.allocator.unclaim(world.task, start, 4);
    publish({ start: start + 4, length: 6 });
    world.allocator.unclaim(world.task, start + 15, 15);
    commit();
    const used = usedOn(device, world.geometry);
    for (let i = 0; i < 30; i++) expect(used.has(start + i)).toBe(i >= 4 && i < 15);
    expect(world.arena.words[Header.ExclusionClaims]).toBe(0);
    expect(world.arena.words[Header.ExclusionCount]).toBe(256);
  });

  test('leave the bitmaps alone until they are published', () => {
    const before = world.free();
    claim(100, 30);
    commit();
    expect(usedOn(device, world.geometry).size).toBe(initial);
    expect(world.free()).toBe(before);
  });

  test('are cut to what a group can hold', () => {
    const run = claim(0, 100_000);
    expect(run.length).toBeLessThan(GROUP);
    expect(run.length).toBeGreaterThan(GROUP / 2);
    expect(groupOf(world.geometry, run.start)).toBe(groupOf(world.geometry, run.start + run.length - 1));
  });

  test('never give a fixed block, and together give every other', () => {
    const runs = claimAll(37);
    const seen = new Set<number>();
    for (const run of runs) {
      for (let block = run.start; block < run.start + run.length; block++) {
        expect(isFixedBlock(world.geometry, block)).toBe(false);
        expect(seen.has(block)).toBe(false);
        seen.add(block);
      }
    }
    expect(seen.size).toBe(usableBlocks(world.geometry) - initial);
    expect(seen.size).toBe(world.free());
  });

  test('use a group’s goal although another group has more room', () => {
    for (let group = 1; group < GROUPS; group++) allocate(group * GROUP + 64, 10 * group);
    const run = claim(1700, 50);
    expect(groupOf(world.geometry, run.start)).toBe(3);
  });
});

describe('groups', () => {
  test('get their bitmaps when they are first used, in the transaction', () => {
    expect(superblockOn(device, 0).groupsInitialised).toBe(1);
    allocate(GROUP + 100, 10);
    expect(superblockOn(device, 0).groupsInitialised).toBe(1);
    commit();
    expect(superblockOn(device, 0).groupsInitialised).toBe(2);
    expect(usedOn(device, world.geometry).size).toBe(initial + 10);
  });

  test('are found again after reopening, unread until needed', () => {
    const run = allocate(GROUP + 100, 10);
    world.run(world.journal.close(world.task));
    const reads: number[] = [];
    device.onRead = (position) => {
      reads.push(position / BLOCK_BYTES);
      return undefined;
    };
    world = makeAllocWorld(device);
    expect(claim(run.start + 10, 10).start).toBe(run.start + 10);
    const { journalStart, journalBlocks } = world.geometry;
    const read = reads.filter(
      (block) => block !== 0 && (block < journalStart || block >= journalStart + journalBlocks),
    );
    expect(read).toEqual([bitmapBlock(world.geometry, 1)]);
  });

  test('that are full are skipped without a search', () => {
    claimAll(GROUP);
    const last = claimAll(1);
    expect(last).toEqual([]);
  });
});

describe('quarantine', () => {
  test('keeps freed blocks from being reused before the commit, and gives them back after', () => {
    const everything = claimAll(64);
    for (const run of everything) publish(run);
    const freed = everything[3];
    commit();
    free(freed);
    expect(world.quarantined()).toBe(freed.length);
    expect(world.free()).toBe(0);
    expect(() => world.inHandle(3, () => world.allocator.allocateMetadata(world.task, 0))).toThrow(/ENOSPC/);
    commit();
    expect(world.quarantined()).toBe(0);
    expect(world.free()).toBe(freed.length);
    expect(claim(freed.start, freed.length)).toEqual(freed);
  });

  test('a claim that finds nothing else waits for a commit', () => {
    const everything = claimAll(64);
    for (const run of everything) publish(run);
    free(everything[2]);
    expect(claim(0, 4).length).toBe(4);
  });

  test('discards after the flush, neighbours as one, and before reuse', () => {
    const events: string[] = [];
    const run = allocate(200, 40);
    allocate(240, 10);
    commit();
    device.onFlush = () => {
      events.push('flush');
    };
    device.onDiscard = (position, length) => {
      events.push(`discard ${position / BLOCK_BYTES - run.start}+${length / BLOCK_BYTES} free ${world.quarantined()}`);
    };
    for (let i = 38; i >= 0; i -= 2) free({ start: run.start + i, length: 2 });
    expect(events).toEqual([]);
    commit();
    expect(events).toEqual(['flush', 'discard 0+40 free 40']);
  });

  test('a device that fails to discard loses nothing', () => {
    const run = allocate(200, 40);
    const before = world.free();
    free(run);
    device.onDiscard = () => {
      throw Object.assign(new Error('no'), { code: 'EIO' });
    };
    expect(() => commit()).toThrow('no');
    open();
    const again = allocate(200, 40);
    free(again);
    device.onDiscard = () => {
      throw new StoreError('EIO');
    };
    commit();
    expect(world.free()).toBe(before + 40);
  });

  test('counts are exact on the device, claims and quarantine or not', () => {
    claim(50, 7);
    const run = allocate(200, 40);
    free({ start: run.start + 5, length: 3 });
    commit();
    free({ start: run.start + 20, length: 6 });
    world.run(world.journal.close(world.task));
    const used = usedOn(device, world.geometry);
    expect(used.size).toBe(initial + 31);
    expect(superblockOn(device, 0).blocksFree).toBe(usableBlocks(world.geometry) - used.size);
  });

  test('runs short of records commit what they have instead of failing', () => {
    open({ exclusions: 96 });
    const run = allocate(100, 300);
    for (let i = 0; i < 300; i += 2) free({ start: run.start + i, length: 1 });
    commit();
    expect(world.arena.words[Header.ExclusionCount]).toBe(96);
    expect(usedOn(device, world.geometry).size).toBe(initial + 150);
  });
});

describe('promises', () => {
  test('stop short of what metadata may need', () => {
    const available = world.free();
    let promised = 0;
    while (world.allocator.reserve(world.task, 10)) promised += 10;
    while (world.allocator.reserve(world.task, 1)) promised += 1;
    expect(world.reserved()).toBe(promised);
    expect(promised).toBeLessThan(available);
    expect(promised).toBeGreaterThan(available * 0.9);
    world.allocator.unreserve(world.task, 5);
    expect(world.allocator.reserve(world.task, 5)).toBe(true);
    expect(world.allocator.reserve(world.task, 1)).toBe(false);
  });

  test('of metadata go further than those of data, and leave something all the same', () => {
    while (world.allocator.reserve(world.task, 1));
    expect(world.run(world.allocator.reserveMetadata(world.task, 8))).toBe(true);
    let more = 0;
    while (world.run(world.allocator.reserveMetadata(world.task, 1))) more += 1;
    expect(more).toBeGreaterThan(8);
    expect(world.free() - world.reserved()).toBeGreaterThan(30);
    expect(world.allocator.reserve(world.task, 1)).toBe(false);
  });

  test('can all be kept', () => {
    while (world.allocator.reserve(world.task, 1));
    while (world.reserved() > 0) {
      const run = claim(0, Math.min(100, world.reserved()));
      publish(run, run.length);
    }
    expect(world.free()).toBeGreaterThan(0);
  });

  test('wait for what is quarantined, and only for that', () => {
    let first: ClaimedRun | null = null;
    while (world.allocator.reserve(world.task, 50)) {
      const run = claim(0, 50);
      publish(run, run.length);
      if (run.length < 50) world.allocator.unreserve(world.task, 50 - run.length);
      first ??= run;
    }
    expect(world.run(world.allocator.reserveWaiting(world.task, 50))).toBe(false);
    free(first!);
    expect(world.allocator.reserve(world.task, 50)).toBe(false);
    const before = world.journal.durable;
    expect(world.run(world.allocator.reserveWaiting(world.task, 1000))).toBe(false);
    expect(world.journal.durable).toBe(before);
    expect(world.run(world.allocator.reserveWaiting(world.task, 50))).toBe(true);
    expect(world.journal.durable).not.toBe(before);
  });
});

describe('mistakes', () => {
  test('are assertions, or errors where the device may have made them', () => {
    const run = allocate(100, 10);
    const { start } = run;
    free({ start, length: 4 });
    expect(() => free({ start: start + 2, length: 4 })).toThrow(/EUCLEAN.*allocation bitmap.*is free in it/);
    expect(() => free({ start: start + 20, length: 1 })).toThrow(/EUCLEAN.*allocation bitmap.*is free in it/);
    expect(() => publish({ start: start + 30, length: 1 })).toThrow(/not claimed/);
    expect(() => publish({ start: start + 8, length: 1 })).toThrow(/in use/);
    expect(() => world.allocator.unclaim(world.task, start + 30, 1)).toThrow(/not claimed/);
    expect(() => world.run(world.allocator.free(world.task, start + 8, 1))).toThrow(/outside a transaction/);
    expect(() => world.run(world.allocator.allocateMetadata(world.task, 0))).toThrow(/outside a transaction/);
    expect(() => free({ start: GROUP - 2, length: 4 })).toThrow(/EUCLEAN.*lie in no group/);
    free({ start: start + 4, length: 6 });
    commit();
    expect(usedOn(device, world.geometry).size).toBe(initial);
  });
});
