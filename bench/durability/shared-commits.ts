/** How commits are shared: the rate at which many threads sync 4 KiB of a file of their own each, beside the rate of one. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Store } from '../../src/index.js';
import { fillFile } from '../micro/fixture.js';
import { withPreallocatedStore } from './preallocated.js';
import type { SyncLoop, SyncLoopResult } from './sync-loop.js';

const MIB = 1024 * 1024;
const FILE_BYTES = MIB;

export interface SharedFigures {
  /** Syncs a second, of all threads together. */
  alone: number;
  together: number;
  /** Transactions, of so many syncs of all threads. */
  commits: number;
  syncs: number;
}

export interface SharedOptions {
  threads: number;
  /** Of each thread, in a round. */
  calls: number;
  rounds: number;
  /** How long all threads sync before anything is timed. */
  warmMs: number;
  flushMs: number;
}

/** Rounds of one thread and of all take turns; of each the median. */
export async function measureShared(directory: string, options: SharedOptions): Promise<SharedFigures> {
  const { threads, calls, rounds } = options;
  const path = join(directory, 'shared.img');
  const shape = { sizeBytes: 48 * MIB, open: { cacheBytes: 64 * MIB, threads } };
  const figures = await withPreallocatedStore(path, shape, async (store, sync) => {
    for (let i = 0; i < threads; i++) fillFile(sync, `file-${i}`, FILE_BYTES);
    await rate(store, threads, { ...options, calls: 1 });
    const timed = { ...options, warmMs: 0 };
    const alone: number[] = [];
    const together: number[] = [];
    let commits = 0;
    for (let round = 0; round < rounds; round++) {
      alone.push(await rate(store, 1, timed));
      const before = (await store.stats()).journal.commits;
      together.push(await rate(store, threads, timed));
      commits += (await store.stats()).journal.commits - before;
    }
    return { alone: median(alone), together: median(together), commits, syncs: rounds * calls * threads };
  });
  rmSync(path);
  return figures;
}

async function rate(store: Store, threads: number, { calls, warmMs, flushMs }: SharedOptions): Promise<number> {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const url = new URL('./sync-loop.js', import.meta.url);
  const runs = Array.from({ length: threads }, (_, i) => {
    const data: SyncLoop = { name: `file-${i}`, fileBytes: FILE_BYTES, calls, warmMs, flushMs, gate, threads };
    return store.run<SyncLoopResult>(url, data);
  });
  const results = await Promise.all(runs);
  const startMs = Math.min(...results.map((result) => result.startMs));
  const endMs = Math.max(...results.map((result) => result.endMs));
  return (threads * calls * 1000) / (endMs - startMs);
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}
