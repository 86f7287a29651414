/**
 * Real threads on one small cache: whatever they read is theirs, and nothing is left over in the end. EMMENTAL_CACHE_STRESS_MS is
 * how long they run on the first of the caches; on the others it is less.
 */
import { describe, expect, test } from 'vitest';
import { Frames } from '#dist/src/pagecache/frames.js';
import { PageFlag } from '#dist/src/pagecache/page.js';
import { PageCache } from '#dist/src/pagecache/page-cache.js';
import { BlockingDriver, runBlocking } from '#dist/src/routine/blocking-driver.js';
import type { Task } from '#dist/src/routine/task.js';
import type { Arena } from '#dist/src/sync/arena.js';
import { Header, Inode, Page, StoreState, Thread } from '#dist/src/sync/layout.js';
import { LockRank } from '#dist/src/sync/lockdep.js';
import { initRwsem } from '#dist/src/sync/rwsem.js';
import { Count, sumStatistics } from '#dist/src/sync/statistics.js';
import { attachThread, reapDeadThreads } from '#dist/src/sync/threads.js';
import type { Slot } from '#dist/src/units.js';
import { makeArena } from '../support/arena.js';
import { bundledThread } from '../support/bundled-thread.js';
import { auditCache } from '../support/cache-audit.js';
import { startThread, waitForWord } from '../support/threads.js';
import { BLOCK_BYTES, BLOCKS, FILE_PAGES, FILES, SharedDevice, TABLE, TableMapping } from './cache-jobs.mjs';

const JOBS = bundledThread('cache-jobs');
const DURATION_MS = Number(process.env.EMMENTAL_CACHE_STRESS_MS ?? 2000);
const THREADS = 5;
/** A word that nothing else in the arena uses. */
const ARRIVED = Header.Words - 1;

interface Shared {
  arena: Arena;
  data: { table: SharedArrayBuffer; buffers: SharedArrayBuffer[]; device: SharedArrayBuffer; arrived: number };
  table: Int32Array;
  cache: PageCache;
  device: SharedDevice;
  task: Task;
}

function share(frames: number, verify: boolean): Shared {
  const arena = makeArena({ frames, verify, inodes: FILES + 1 });
  for (let mapping = 1; mapping <= FILES; mapping++) {
    const at = arena.layout.inodeRecords + mapping * Inode.Words;
    initRwsem(arena, at + Inode.IRwsem, LockRank.IRwsem);
    initRwsem(arena, at + Inode.InvalidateLock, LockRank.InvalidateLock);
  }
  const table = new Int32Array(new SharedArrayBuffer(TABLE.words * 4));
  // Block 0 stands for a hole.
  for (let block = 1; block < BLOCKS; block++) table[TABLE.free + block] = block;
  table[TABLE.free] = BLOCKS - 1;
  const buffers = Frames.allocate(frames, BLOCK_BYTES);
  const device = new SharedDevice(new SharedArrayBuffer(BLOCKS * BLOCK_BYTES));
  const cache = new PageCache(arena, new Frames(buffers, BLOCK_BYTES, frames), device);
  const mapping = new TableMapping(table, arena);
  cache.operations = { files: mapping, metadata: mapping };
  const driver = new BlockingDriver(arena);
  driver.unpin = (frame) => cache.unpin(frame as never);
  const task = attachThread(arena, driver);
  const data = {
    table: table.buffer as SharedArrayBuffer,
    buffers,
    device: device.bytes.buffer as SharedArrayBuffer,
    arrived: ARRIVED,
  };
  return { arena, data, table, cache, device, task };
}

describe('threads on one cache', () => {
  test.each([
    { frames: 96, verify: true, durationMs: DURATION_MS },
    { frames: 40, verify: false, durationMs: 0.75 * DURATION_MS },
    { frames: 400, verify: false, durationMs: 0.5 * DURATION_MS },
  ])('$frames frames, verify $verify', async ({ frames, verify, durationMs }) => {
    const { arena, data, table, cache, device, task } = share(frames, verify);
    const threads = Array.from({ length: THREADS }, (_, i) =>
      startThread(arena, JOBS, 'everything', { ...data, seed: i + 1, durationMs }),
    );
    const reports = await Promise.all(threads.map((thread) => thread.report));
    const totals: Record<string, number> = {};
    for (const { message, result } of reports) {
      expect(message).toBeUndefined();
      const { faults, counts } = result as { faults: string[]; counts: Record<string, number> };
      expect(faults).toEqual([]);
      for (const [name, n] of Object.entries(counts)) totals[name] = (totals[name] ?? 0) + n;
    }
    for (const what of ['hits', 'misses', 'writes', 'punches']) expect(totals[what], what).toBeGreaterThan(0);
    const statistics = sumStatistics(arena);
    if (frames < FILES * FILE_PAGES) expect(statistics[Count.Evictions]).toBeGreaterThan(0);

    expect(auditCache(arena)).toEqual([]);
    for (let frame = 1; frame <= frames; frame++) {
      const state = arena.words[arena.layout.pageRecords + frame * Page.Words + Page.State];
      expect(state >> 12).toBe(0);
      expect(state & (PageFlag.Locked | PageFlag.Writeback | PageFlag.Detached)).toBe(0);
    }
    for (let mapping = 1; mapping <= FILES; mapping++) {
      runBlocking(task, cache.writeRange(task, mapping as Slot, 0, FILE_PAGES, { wait: true }));
    }
    expect(arena.words[Header.PagesDirty]).toBe(0);
    expect(table[TABLE.reserved]).toBe(0);
    checkDevice(table, device);
  });

  test('a thread that dies with a page locked fences the store; one that only looked at a page is forgotten', async () => {
    const { arena, data, cache, task } = share(16, true);
    const frame = runBlocking(task, cache.read(task, 1 as Slot, 0));
    cache.unpin(frame);
    const reader = startThread(arena, JOBS, 'holdHit', { ...data, seed: 1 });
    expect(waitForWord(arena, ARRIVED, frame)).toBe(true);
    expect(cache.stateOf(frame) >> 12).toBe(1);
    await reader.worker.terminate();
    expect(reapDeadThreads(arena, task.driver)).toBe(1);
    expect(cache.stateOf(frame) >> 12).toBe(0);
    expect(arena.state).toBe(StoreState.Open);

    runBlocking(task, cache.drop(task, 1 as Slot, 0, 1));
    Atomics.store(arena.words, ARRIVED, 0);
    const filler = startThread(arena, JOBS, 'holdPage', { ...data, seed: 1 });
    while (Atomics.load(arena.words, ARRIVED) === 0) Atomics.wait(arena.words, ARRIVED, 0, 20);
    await filler.worker.terminate();
    expect(() => runBlocking(task, cache.drop(task, 1 as Slot, 0, 1))).toThrow('EOWNERDEAD');
    expect(arena.words[task.record + Thread.PageLocks]).toBe(0);
    expect(arena.state).toBe(StoreState.Fenced);
  });
});

/** After a sync, the device has what was written last, page by page, and no block twice. */
function checkDevice(table: Int32Array, device: SharedDevice): void {
  const owners = new Set<number>();
  const words = new Uint32Array(device.bytes.buffer);
  for (let at = 0; at < FILES * FILE_PAGES; at++) {
    const block = table[TABLE.blocks + at];
    const written = table[TABLE.written + at];
    if (written === 0 || block === 0) {
      expect(block === 0, `page ${at} has block ${block}`).toBe(written === 0);
      continue;
    }
    expect(owners.has(block)).toBe(false);
    owners.add(block);
    const stamp = [Math.floor(at / FILE_PAGES) + 1, (at % FILE_PAGES) + 1, table[TABLE.generations + at] + 1, written];
    for (let i = 0; i < BLOCK_BYTES / 4; i += 97) expect(words[(block * BLOCK_BYTES) / 4 + i]).toBe(stamp[i & 3]);
  }
}
