/** A file of a million extents: what building it, looking into it and removing it costs, and that nothing stays behind. */
import { describe, expect, it } from 'vitest';
import { ClaimedRun } from '#dist/src/allocator/group-search.js';
import { CREDITS_INSERT, CREDITS_REMOVE_STEP, Extent } from '#dist/src/inode/extent-map.js';
import { blocksOf, mapLockAt, setDiskSize, setSize } from '#dist/src/inode/inode.js';
import { BlockRun, RunKind } from '#dist/src/pagecache/mapping-operations.js';
import type { Routine } from '#dist/src/routine/effect.js';
import { releaseShared, tryAcquireShared } from '#dist/src/sync/rwsem.js';
import { MAX_FILE_PAGES, type Slot } from '#dist/src/units.js';
import { InodeWorld } from '../support/inode-world.js';
import { seededRandom } from '../support/random.js';

const EXTENTS = 1_000_000;
const SPACING = 2;
const LOOKUPS = 200_000;
const ROUND_LOOKUPS = 4000;
const ROUNDS = 400;
/** Insertions that share a handle; only the first ones can split every level. */
const BATCH = 500;

/** A file of so many extents of a page each, with a hole after each of them. */
function build(world: InodeWorld, extents: number): Slot {
  const slot = world.create();
  const run = new ClaimedRun();
  for (let made = 0; made < extents; ) {
    const wanted = Math.min(extents - made, 30_000);
    expect(world.allocator.reserve(world.task, wanted)).toBe(true);
    world.run(world.allocator.claim(world.task, 0, wanted, run));
    world.allocator.unreserve(world.task, wanted - run.length);
    world.inHandle(2, () => world.allocator.publish(world.task, run.start, run.length, run.length));
    for (let from = 0; from < run.length; from += BATCH) {
      const to = Math.min(from + BATCH, run.length);
      world.change(slot, 3 * CREDITS_INSERT, () => insertSome(world, slot, made, run.start, from, to));
    }
    made += run.length;
  }
  setSize(world.task, slot, extents * SPACING * world.blockBytes);
  setDiskSize(world.task, slot, extents * SPACING * world.blockBytes);
  return slot;
}

function* insertSome(
  world: InodeWorld,
  slot: Slot,
  first: number,
  block: number,
  from: number,
  to: number,
): Routine<void> {
  for (let i = from; i < to; i++) {
    yield* world.extents.insert(world.task, slot, (first + i) * SPACING, block + i, 1, false);
  }
}

/** Nanoseconds of a lookup of a page chosen by chance: the best of many short rounds, which the host's other work spares. */
function timeLookups(world: InodeWorld, slot: Slot, extents: number): number {
  const random = seededRandom(7);
  const pages = Uint32Array.from({ length: LOOKUPS }, () => Math.floor(random() * extents * SPACING));
  const run = new BlockRun();
  let best = Number.POSITIVE_INFINITY;
  const lock = mapLockAt(world.arena, slot);
  expect(tryAcquireShared(world.task, lock)).toBe(true);
  for (let round = 0; round < ROUNDS; round++) {
    const first = (round * ROUND_LOOKUPS) % LOOKUPS;
    let wrong = 0;
    const start = performance.now();
    for (let i = first; i < first + ROUND_LOOKUPS; i++) {
      const found = world.extents.tryLookup(world.task, slot, pages[i], run, 1);
      if (!found || (run.kind === RunKind.Hole) !== (pages[i] % SPACING !== 0)) wrong++;
    }
    best = Math.min(best, ((performance.now() - start) * 1e6) / ROUND_LOOKUPS);
    expect(wrong).toBe(0);
  }
  releaseShared(world.task, lock);
  return best;
}

describe('a million extents in one file', () => {
  it('are built, looked up at a cost that hardly grows, and removed without a trace', () => {
    const world = new InodeWorld({
      blocks: 1_080_000,
      frames: 8192,
      commitBlocks: 2048,
      exclusions: 8192,
      verify: false,
    });
    const few = build(world, 10);
    const before = world.blocksFree;
    let start = performance.now();
    const many = build(world, EXTENTS);
    const buildMs = performance.now() - start;
    expect(blocksOf(world.arena, many)).toBe(EXTENTS);
    const nodes = before - world.blocksFree - EXTENTS;

    const extent = new Extent();
    expect(world.run(world.extents.next(world.task, many, (EXTENTS - 1) * SPACING, extent))).toBe(true);
    expect(extent).toMatchObject({ page: (EXTENTS - 1) * SPACING, length: 1 });

    timeLookups(world, few, 10);
    const fewNs = timeLookups(world, few, 10);
    const manyNs = timeLookups(world, many, EXTENTS);

    start = performance.now();
    for (let page = 0; page < MAX_FILE_PAGES; ) {
      const from = page;
      page = world.change(many, CREDITS_REMOVE_STEP, () =>
        world.extents.remove(world.task, many, from, MAX_FILE_PAGES),
      );
    }
    const removeMs = performance.now() - start;
    console.log(
      `${EXTENTS} extents in ${nodes} nodes: built in ${buildMs.toFixed(0)} ms, removed in ${removeMs.toFixed(0)} ms; ` +
        `a lookup takes ${manyNs.toFixed(0)} ns, in a file of ten ${fewNs.toFixed(0)} ns: ${(manyNs / fewNs).toFixed(2)} times`,
    );
    expect(blocksOf(world.arena, many)).toBe(0);
    expect(world.blocksFree).toBe(before);
    expect(manyNs / fewNs).toBeLessThan(3);
    world.sync();
    expect(world.check()).toEqual([]);
  });
});
