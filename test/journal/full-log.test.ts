/** A log too small for the work makes the work slow, and stops nothing: the smallest journal, and eight threads. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import { leastJournalBlocks } from '#dist/src/format/geometry.js';
import { checkStore, createStore, openStore } from '#dist/src/index.js';
import { formatDevice } from '#dist/src/store/format-store.js';
import { Count, sumStatistics } from '#dist/src/sync/statistics.js';
import {
  type AllocWorld,
  addBlock,
  BLOCK_BYTES,
  inHandle,
  makeAllocWorld,
  readBlock,
  setMark,
} from '../support/alloc-world.js';
import { Scheduler } from '../support/scheduler.js';
import { temporaryDirectory } from '../support/temporary.js';

const THREADS = 8;
const SEEDS = 4;
const ROUNDS = 30;
const BLOCKS_A_THREAD = 5;
const JOB_ROUNDS = 30;
const MIB = 1024 * 1024;

const directory = temporaryDirectory(true);

function smallWorld(): { device: MemoryDevice; world: AllocWorld } {
  const device = new MemoryDevice(1024 * BLOCK_BYTES);
  formatDevice(device, {
    blockBytes: BLOCK_BYTES,
    label: '',
    dataChecksums: false,
    journalBytes: 24 * BLOCK_BYTES,
    blocksPerGroup: 512,
    now: 1,
    uuid: new Uint8Array(16),
  });
  return { device, world: makeAllocWorld(device, { frames: 512, threads: THREADS + 1 }) };
}

test('handles wait for room under random schedules, nobody for ever, and what they did is in the log or in place', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { device, world } = smallWorld();
    const owned = Array.from({ length: THREADS }, () =>
      Array.from({ length: BLOCKS_A_THREAD }, () => world.inHandle(4, () => addBlock(world, world.task, 0, 600))),
    );
    world.run(world.journal.commit(world.task));
    let state = seed;
    const scheduler = new Scheduler(world.arena, () => {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
      return (state >>> 8) / 2 ** 23;
    });
    for (const [i, blocks] of owned.entries()) {
      scheduler.spawn(`thread ${i}`, function* (task) {
        for (let round = 1; round <= ROUNDS; round++) {
          yield* inHandle(world, task, BLOCKS_A_THREAD, function* () {
            for (const block of blocks) yield* setMark(world, task, block, round);
          });
        }
      });
    }
    const before = sumStatistics(world.arena);
    scheduler.finish();
    world.run(world.journal.commit(world.task));
    const after = sumStatistics(world.arena);
    for (const blocks of owned) {
      for (const block of blocks) expect(readBlock(device, block)[100], `seed ${seed}`).toBe(ROUNDS);
    }
    expect(after[Count.HandleWaits] - before[Count.HandleWaits]).toBeGreaterThan(0);
    expect(after[Count.Checkpoints] - before[Count.Checkpoints]).toBeGreaterThan(0);
  }
});

test.each([false, true])(
  'eight threads with the smallest journal that a store may have end their work, and it is clean (data checksums: %s)',
  async (dataChecksums) => {
    const path = join(directory, `small-${dataChecksums}.img`);
    const blocks = (128 * MIB) / BLOCK_BYTES;
    const journalBytes = leastJournalBlocks(blocks) * BLOCK_BYTES;
    await createStore(path, { sizeBytes: blocks * BLOCK_BYTES, journalBytes, dataChecksums });
    const store = await openStore(path, { cacheBytes: 16 * MIB, threads: THREADS, verify: true });
    const url = new URL('./full-log-job.mjs', import.meta.url);
    const runs = Array.from({ length: THREADS }, (_, thread) => store.run(url, { thread, rounds: JOB_ROUNDS }));
    expect(await Promise.all(runs)).toEqual(Array(THREADS).fill(JOB_ROUNDS));
    const { journal } = await store.stats();
    await store.close();
    expect(journal.sizeBytes).toBe(journalBytes);
    expect(journal.logBlocks).toBeGreaterThan(5 * leastJournalBlocks(blocks));
    expect(journal.handleWaits).toBeGreaterThan(0);
    expect(await checkStore(path)).toMatchObject({ clean: true });
  },
);
