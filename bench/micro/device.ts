/**
 * The device path: random misses and sequential streams through the store, each beside the same O_DIRECT reads and writes of
 * the same image with nothing in between. The two sides take turns; the figure is the median turn.
 */
import { closeSync, constants, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { SyncStore } from '../../src/worker.js';
import { alignedMemory, fillFile, shuffledPositions, withStore } from './fixture.js';
import type { Claim, Figures } from './measure.js';

const MIB = 1024 * 1024;
const PAGE_BYTES = 4096;
/** Far less than the file. */
const CACHE_BYTES = 64 * MIB;

export interface DeviceSizes {
  /** Of the file that is read and written. */
  fileBytes: number;
  /** Misses per turn. */
  misses: number;
  turns: number;
}

export const CLAIMS: Claim[] = [
  { name: 'random 4 KiB miss', other: 'fs.readSync O_DIRECT', atMost: 1.1 },
  { name: 'sequential cold read, per MiB', other: '1 MiB O_DIRECT reads', atMost: 1 / 0.9 },
  { name: 'sequential write and sync, per MiB', other: '1 MiB O_DIRECT writes', atMost: 1 / 0.85 },
];

type Turn = () => { ns: number; operations: number };

function timed(operations: number, work: () => void): { ns: number; operations: number } {
  const startMs = performance.now();
  work();
  return { ns: (performance.now() - startMs) * 1e6, operations };
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}

/** A B, B A, A B … */
function takeTurns(figures: Figures, turns: number, a: [string, Turn], b: [string, Turn]): void {
  const results = new Map([
    [a[0], [] as number[]],
    [b[0], [] as number[]],
  ]);
  for (let turn = 0; turn < turns; turn++) {
    for (const [name, run] of turn % 2 === 0 ? [a, b] : [b, a]) {
      const { ns, operations } = run();
      results.get(name)!.push(ns / operations);
    }
  }
  for (const [name, values] of results) figures.set(name, median(values));
}

/** Both sides of every case: a file of the store, and as large a file of the host, open for O_DIRECT. */
class DeviceCases {
  readonly figures: Figures = new Map();
  private readonly buffer = new Uint8Array(MIB);
  private readonly memory = alignedMemory(MIB);
  private readonly cold = alignedMemory(CACHE_BYTES).fill(1);
  private readonly fd: number;

  constructor(
    private readonly store: SyncStore,
    barePath: string,
    private readonly sizes: DeviceSizes,
  ) {
    fillFile(store, 'stream', sizes.fileBytes);
    this.fd = openSync(barePath, constants.O_RDWR | constants.O_CREAT | constants.O_DIRECT, 0o600);
    this.bareWrites()();
  }

  close(): void {
    closeSync(this.fd);
  }

  randomReads(): void {
    const { buffer, memory, fd } = this;
    const { fileBytes, misses, turns } = this.sizes;
    const file = this.store.open('stream', 'r');
    file.advise('dontneed', 0, fileBytes);
    file.advise('random', 0, 0);
    const positions = shuffledPositions(fileBytes, PAGE_BYTES);
    let at = 0;
    const turn = (read: (position: number) => void): Turn => {
      return () =>
        timed(misses, () => {
          for (let i = 0; i < misses; i++) read(positions[at++ % positions.length]);
        });
    };
    // Compiled before it is timed.
    for (let i = 0; i < misses; i++) file.read(buffer, 0, PAGE_BYTES, positions[at++ % positions.length]);
    takeTurns(
      this.figures,
      turns,
      ['random 4 KiB miss', turn((position) => file.read(buffer, 0, PAGE_BYTES, position))],
      ['fs.readSync O_DIRECT', turn((position) => readSync(fd, memory, 0, PAGE_BYTES, position))],
    );
    file.close();
  }

  sequentialReads(): void {
    const { buffer, memory, fd } = this;
    const coldRead: Turn = () => {
      // Opened anew in each turn, so that the readahead window starts small.
      const file = this.store.open('stream', 'r');
      file.advise('dontneed', 0, this.sizes.fileBytes);
      const result = this.stream((position) => file.read(buffer, 0, MIB, position))();
      file.close();
      return result;
    };
    const bareRead = this.stream((position) => readSync(fd, memory, 0, MIB, position));
    takeTurns(
      this.figures,
      this.sizes.turns,
      ['sequential cold read, per MiB', coldRead],
      ['1 MiB O_DIRECT reads', bareRead],
    );
    this.rotating('1 MiB O_DIRECT reads, cold memory', (memory, position) => readSync(fd, memory, 0, MIB, position));
  }

  /**
   * The bare transfers once more with memory as large as the store's cache, used in turn: what the processor's caches give a
   * single buffer, a page cache cannot have.
   */
  private rotating(name: string, transfer: (memory: Uint8Array, position: number) => void, end = () => {}): void {
    const { cold } = this;
    const run = this.stream((position) => {
      const from = position % CACHE_BYTES;
      transfer(cold.subarray(from, from + MIB), position);
    }, end);
    const turns: number[] = [];
    for (let turn = 0; turn < this.sizes.turns; turn++) {
      const { ns, operations } = run();
      turns.push(ns / operations);
    }
    this.figures.set(name, median(turns));
  }

  sequentialWrites(): void {
    const { buffer } = this;
    const file = this.store.open('stream', 'r+');
    const write = this.stream(
      (position) => file.write(buffer, 0, MIB, position),
      () => file.sync(),
    );
    takeTurns(
      this.figures,
      this.sizes.turns,
      ['sequential write and sync, per MiB', write],
      ['1 MiB O_DIRECT writes', this.bareWrites()],
    );
    file.close();
    const { fd } = this;
    this.rotating(
      '1 MiB O_DIRECT writes, cold memory',
      (memory, position) => writeSync(fd, memory, 0, MIB, position),
      () => fsyncSync(fd),
    );
  }

  private bareWrites(): Turn {
    const { memory, fd } = this;
    return this.stream(
      (position) => writeSync(fd, memory, 0, MIB, position),
      () => fsyncSync(fd),
    );
  }

  /** Once through the file, a MiB at a time. */
  private stream(step: (position: number) => void, end = () => {}): Turn {
    const { fileBytes } = this.sizes;
    return () =>
      timed(fileBytes / MIB, () => {
        for (let position = 0; position < fileBytes; position += MIB) step(position);
        end();
      });
  }
}

export async function measureDevice(directory: string, sizes: DeviceSizes): Promise<Figures> {
  const path = join(directory, 'device.img');
  return withStore(path, sizes.fileBytes * 3 + 256 * MIB, { cacheBytes: CACHE_BYTES }, async (_store, sync) => {
    const cases = new DeviceCases(sync, join(directory, 'bare.img'), sizes);
    try {
      cases.sequentialReads();
      cases.sequentialWrites();
      cases.randomReads();
    } finally {
      cases.close();
    }
    return cases.figures;
  });
}
