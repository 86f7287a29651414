/**
 * A store under one scheme with a warm file in it, and threads that run rounds on it together. The opening thread's side of
 * scheme-thread.ts.
 */
import { Worker } from 'node:worker_threads';
import { openStore, type Store, type StoreStats } from '../../src/index.js';
import { attachStore, type SyncStore } from '../../src/worker.js';
import { fillFile } from '../micro/fixture.js';
import { Histogram } from '../workloads/histogram.js';
import { FILE, type HistogramData, type Round, type RoundResult } from './scheme-thread.js';

const MIB = 1024 * 1024;

export interface RoundFigures {
  /** Operations of all threads in a second. */
  reads: number;
  writes: number;
  read: Histogram;
  write: Histogram;
  punch: Histogram;
  /** Acquisitions of the inode's two locks that waited. */
  waits: number;
}

export class SchemeCrew {
  private readonly control = new Int32Array(new SharedArrayBuffer(4));

  private constructor(
    readonly store: Store,
    readonly sync: SyncStore,
    private readonly workers: Worker[],
    private readonly handle: unknown,
  ) {}

  /** Opens the image, which holds nothing yet or the file of an earlier crew, and reads the file through. */
  static async start(image: string, scheme: string, fileBytes: number): Promise<SchemeCrew> {
    // Room for all of the file to be dirty before anything is written back: the device is no part of this.
    const store = await openStore(image, {
      scheme,
      cacheBytes: 4 * fileBytes,
      dirtyRatio: 0.85,
      dirtyExpireMs: 600_000,
      threads: 2,
    });
    const sync = attachStore(store.handle);
    if (!sync.exists(FILE)) fillFile(sync, FILE, fileBytes);
    const file = sync.open(FILE);
    const buffer = new Uint8Array(MIB);
    for (let position = 0; position < fileBytes; position += MIB) file.read(buffer, 0, MIB, position);
    file.close();
    return new SchemeCrew(store, sync, [], store.handle);
  }

  /** One round of `lengthMs`, each of its parts by a thread of its own, all at once. */
  async run(parts: readonly Round[], lengthMs: number): Promise<RoundFigures> {
    while (this.workers.length < parts.length) await this.hire();
    Atomics.store(this.control, 0, 0);
    const before = waitsOf(this.store.stats());
    const results = parts.map((round, i) => this.ask(this.workers[i], round));
    const all = Promise.all(results);
    await Promise.race([all, new Promise((resolve) => setTimeout(resolve, lengthMs))]);
    Atomics.store(this.control, 0, 1);
    Atomics.notify(this.control, 0);
    return { ...figuresOf(await all), waits: waitsOf(this.store.stats()) - before };
  }

  async end(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.terminate()));
    this.sync.close();
    await this.store.close();
  }

  /** Resolves once the thread is there: a round is no longer than it is said to be for any of its parts. */
  private async hire(): Promise<void> {
    const workerData = { handle: this.handle, control: this.control, seed: this.workers.length + 1 };
    const worker = new Worker(new URL('../../workers/scheme.js', import.meta.url), { workerData });
    this.workers.push(worker);
    await new Promise((resolve, reject) => {
      worker.once('error', reject);
      worker.once('message', () => resolve(worker.off('error', reject)));
    });
  }

  private ask(worker: Worker, round: Round): Promise<RoundResult> {
    return new Promise((resolve, reject) => {
      worker.once('error', reject);
      worker.once('message', (result: RoundResult) => {
        worker.off('error', reject);
        resolve(result);
      });
      worker.postMessage({ round });
    });
  }
}

function figuresOf(results: readonly RoundResult[]): Omit<RoundFigures, 'waits'> {
  const rate = (key: 'read' | 'write') =>
    results.reduce((sum, result) => sum + (histogramOf(result[key]).count / result.elapsedMs) * 1000, 0);
  const merged = (key: 'read' | 'write' | 'punch') => {
    const all = new Histogram();
    for (const result of results) all.add(histogramOf(result[key]));
    return all;
  };
  return {
    reads: rate('read'),
    writes: rate('write'),
    read: merged('read'),
    write: merged('write'),
    punch: merged('punch'),
  };
}

function histogramOf({ counts, sums }: HistogramData): Histogram {
  return new Histogram(counts, sums);
}

function waitsOf({ locks }: StoreStats): number {
  return locks['i_rwsem'].waits + locks['invalidate_lock'].waits;
}
