/**
 * The allocator and the extent map by themselves: no file operation around them, everything they need in the cache.
 *
 * A session of the engine's own, beside the public interface that makes the files: this suite looks inside.
 */
import { ClaimedRun } from '../../src/allocator/group-search.js';
import type { Store } from '../../src/index.js';
import { mapLockAt } from '../../src/inode/inode.js';
import { BlockRun } from '../../src/pagecache/mapping-operations.js';
import { runBlocking } from '../../src/routine/blocking-driver.js';
import { Session } from '../../src/store/session.js';
import { acquireShared, releaseShared } from '../../src/sync/rwsem.js';
import type { SyncStore } from '../../src/worker.js';
import { Random } from '../workloads/random.js';
import type { Case, Suite } from './measure.js';

const BATCH = 1000;
const BLOCK_BYTES = 4096;
const FEW_EXTENTS = 10;

function repeated(name: string, once: () => void): Case {
  const run = () => {
    for (let i = 0; i < BATCH; i++) once();
  };
  return { name, batch: BATCH, run };
}

/** A file of so many extents of one block each, a hole after each. */
function makeFile(sync: SyncStore, name: string, extents: number): number {
  const file = sync.open(name, 'w');
  for (let i = 0; i < extents; i++) file.fallocate(i * 2 * BLOCK_BYTES, BLOCK_BYTES);
  file.sync();
  const { ino } = file.stat();
  file.close();
  return ino;
}

export function metadataSuites(store: Store, sync: SyncStore, manyExtents: number): { suites: Suite[]; close(): void } {
  const inos = [makeFile(sync, 'few', FEW_EXTENTS), makeFile(sync, 'many', manyExtents)];
  const session = new Session(store.handle, 'user');
  const { task, arena, allocator } = session;
  const { extents, inodes } = session.engine;
  const slots = inos.map((ino) => runBlocking(task, inodes.find(task, ino)));
  for (const slot of slots) runBlocking(task, acquireShared(task, mapLockAt(arena, slot)));

  const run = new BlockRun();
  const lookupIn = (which: number, count: number) => {
    const random = new Random(1);
    const slot = slots[which];
    return () => {
      const page = random.below(count) * 2;
      if (!extents.tryLookup(task, slot, page, run, 1)) runBlocking(task, extents.lookup(task, slot, page, run, 1));
    };
  };
  const sorted = Uint32Array.from({ length: manyExtents }, (_, i) => i * 2);
  const random = new Random(1);
  const many = manyExtents.toLocaleString('en');
  const lookups: Suite = {
    name: 'extent map, hot',
    cases: [
      repeated(`lookup among ${FEW_EXTENTS} extents`, lookupIn(0, FEW_EXTENTS)),
      repeated(`lookup among ${many} extents`, lookupIn(1, manyExtents)),
      repeated(`binary search among ${many} numbers`, () => {
        run.block = search(sorted, random.below(manyExtents) * 2);
      }),
    ],
    claims: [
      { name: `lookup among ${many} extents`, other: `lookup among ${FEW_EXTENTS} extents`, atMost: 3 },
      { name: `lookup among ${many} extents`, other: `binary search among ${many} numbers` },
    ],
  };

  const claimed = new ClaimedRun();
  const counter = new Int32Array(new SharedArrayBuffer(64));
  const claimAndGiveBack = (blocks: number) => () => {
    if (!allocator.reserve(task, blocks)) throw new Error('the device is full');
    runBlocking(task, allocator.claim(task, 0, blocks, claimed));
    allocator.unclaim(task, claimed.start, claimed.length);
    allocator.unreserve(task, blocks);
  };
  const claims: Suite = {
    name: 'allocator',
    cases: [
      repeated('reserve and unreserve', () => {
        allocator.reserve(task, 1);
        allocator.unreserve(task, 1);
      }),
      repeated('reserve, claim and give back 1 block', claimAndGiveBack(1)),
      repeated('reserve, claim and give back 512 blocks', claimAndGiveBack(512)),
      repeated('Atomics.add, twice', () => {
        Atomics.add(counter, 0, 1);
        Atomics.sub(counter, 0, 1);
      }),
    ],
    claims: [{ name: 'reserve and unreserve', other: 'Atomics.add, twice' }],
  };
  return {
    suites: [lookups, claims],
    close() {
      for (const slot of slots) {
        releaseShared(task, mapLockAt(arena, slot));
        inodes.put(task, slot);
      }
      session.detach();
    },
  };
}

function search(sorted: Uint32Array, wanted: number): number {
  let low = 0;
  let high = sorted.length;
  while (low + 1 < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle] <= wanted) low = middle;
    else high = middle;
  }
  return low;
}
