/**
 * What the journal costs the comparison of schemes: readers and writers of 8 KiB at random places of a cached file, with the
 * journal's commits and without.
 *
 * The job overwrites a file that has its blocks: what the journal does meanwhile is to commit the file's times, beside the
 * threads that are measured. On a machine that others use, two runs differ by more than that costs. So there is one run: the
 * threads go on all the time, on a store that commits by itself once an hour, and spans with a commit every quarter of a second take
 * turns with spans without any. Each pair of neighbours, in either order, gives a share of operations lost; the figure is
 * their median, and its bounds are those order statistics that hold it with 95% certainty. The default is a commit every
 * five seconds, a twentieth of that.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';
import type { Store } from '../../src/index.js';
import { Session } from '../../src/store/session.js';
import { fillFile } from '../micro/fixture.js';
import { withPreallocatedStore } from './preallocated.js';
import { type PriceLoop, PriceWord } from './price-loop.js';

const MIB = 1024 * 1024;
const WARM_UP_MS = 3000;

export interface PriceFigures {
  /** Of the operations, lost in spans with commits: the median of the pairs, and where that lies with 95% certainty. */
  share: number;
  bounds: [low: number, high: number];
  pairs: number;
  commits: number;
  intervalMs: number;
}

export async function measurePrice(directory: string, isQuick: boolean, effort: number): Promise<PriceFigures> {
  const path = join(directory, 'price.img');
  const fileBytes = (isQuick ? 16 : 256) * MIB;
  const threads = isQuick ? 1 : 8;
  const shape = {
    sizeBytes: fileBytes + 64 * MIB,
    open: { cacheBytes: 3 * fileBytes, threads: 2 * threads, commitIntervalMs: 3_600_000 },
  };
  const figures = await withPreallocatedStore(path, shape, async (store, sync) => {
    fillFile(sync, 'file', fileBytes);
    return withLoad(store, fileBytes, threads, (counts) => {
      return measurePairs(store, counts, isQuick ? 2 : Math.ceil(32 * effort), isQuick ? 100 : 1000);
    });
  });
  rmSync(path);
  return figures;
}

/** Runs `use` beside that many readers and as many writers. */
async function withLoad<T>(
  store: Store,
  fileBytes: number,
  threads: number,
  use: (counts: Int32Array) => Promise<T>,
): Promise<T> {
  const words = new Int32Array(new SharedArrayBuffer((PriceWord.Counts + 2 * threads) * 4));
  const url = new URL('./price-loop.js', import.meta.url);
  const jobs = Array.from({ length: 2 * threads }, (_, index) => {
    return store.run<void>(url, { fileBytes, words, index, writes: index >= threads } satisfies PriceLoop);
  });
  try {
    return await use(words.subarray(PriceWord.Counts));
  } finally {
    Atomics.store(words, PriceWord.Stop, 1);
    await Promise.all(jobs);
  }
}

async function measurePairs(store: Store, counts: Int32Array, pairs: number, spanMs: number): Promise<PriceFigures> {
  const intervalMs = spanMs / 4;
  const session = new Session(store.handle, 'user');
  try {
    // Who runs goes on while others are still being started.
    while (counts.some((count) => count === 0)) await setTimeout(spanMs / 10);
    await setTimeout(Math.min(WARM_UP_MS, 10 * spanMs));
    const before = (await store.stats()).journal.commits;
    const shares: number[] = [];
    for (let pair = 0; pair < pairs; pair++) {
      const first = await rateOf(session, counts, spanMs, pair % 2 === 0 ? intervalMs : 0);
      const second = await rateOf(session, counts, spanMs, pair % 2 === 0 ? 0 : intervalMs);
      shares.push(pair % 2 === 0 ? 1 - first / second : 1 - second / first);
    }
    const commits = (await store.stats()).journal.commits - before;
    shares.sort((a, b) => a - b);
    const share = (shares[(pairs - 1) >> 1] + shares[pairs >> 1]) / 2;
    // Of n values the median lies between the k-th from either end, k = n / 2 - 0.98 sqrt(n), 95 times of a hundred.
    const out = Math.max(0, Math.floor(pairs / 2 - 0.98 * Math.sqrt(pairs)) - 1);
    return { share, bounds: [shares[out], shares[pairs - 1 - out]], pairs, commits, intervalMs };
  } finally {
    session.detach();
  }
}

/** Operations a millisecond, while a commit is asked for every `intervalMs`; 0 for never. */
async function rateOf(session: Session, counts: Int32Array, spanMs: number, intervalMs: number): Promise<number> {
  const steps = intervalMs === 0 ? 1 : Math.round(spanMs / intervalMs);
  const startMs = performance.now();
  const before = sum(counts);
  for (let step = 0; step < steps; step++) {
    if (intervalMs !== 0) session.journal.want(session.task);
    await setTimeout(spanMs / steps);
  }
  return (sum(counts) - before) / (performance.now() - startMs);
}

/** Counts may wrap: what differs between two sums does not. */
function sum(counts: Int32Array): number {
  let total = 0;
  for (let i = 0; i < counts.length; i++) total += Atomics.load(counts, i) >>> 0;
  return total;
}
