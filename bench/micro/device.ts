/**
 * The device path: random misses and sequential streams through the store, each beside the same O_DIRECT reads and writes of
 * the same image with nothing in between. The two sides take turns; the figure is the median turn.
 */
import { closeSync, constants, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createStore, openStore } from '../../src/index.js';
import { attachStore } from '../../src/worker.js';
import { alignedMemory, fillFile, shuffledPositions } from './fixture.js';
import type { Claim, Figures } from './measure.js';

const MIB = 1024 * 1024;
const PAGE_BYTES = 4096;

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

export async function measureDevice(directory: string, sizes: DeviceSizes): Promise<Figures> {
  const { fileBytes, misses, turns } = sizes;
  const figures: Figures = new Map();
  const path = join(directory, 'device.img');
  await createStore(path, { sizeBytes: fileBytes * 3 + 256 * MIB });
  const cacheBytes = 64 * MIB;
  const store = await openStore(path, { cacheBytes });
  const sync = attachStore(store.handle);
  fillFile(sync, 'stream', fileBytes);
  // The bare side: the same device, positions where the file's own blocks lie.
  const barePath = join(directory, 'bare.img');
  const memory = alignedMemory(MIB);
  const fd = openSync(barePath, constants.O_RDWR | constants.O_CREAT | constants.O_DIRECT, 0o600);
  try {
    for (let position = 0; position < fileBytes; position += MIB) writeSync(fd, memory, 0, MIB, position);
    fsyncSync(fd);

    const file = sync.open('stream', 'r+');
    const positions = shuffledPositions(fileBytes, PAGE_BYTES);
    const buffer = new Uint8Array(MIB);
    let missAt = 0;
    const randomTurn = (read: (position: number) => void): Turn => {
      return () =>
        timed(misses, () => {
          for (let i = 0; i < misses; i++) read(positions[missAt++ % positions.length]);
        });
    };
    file.advise('dontneed', 0, fileBytes);
    file.advise('random', 0, 0);
    takeTurns(
      figures,
      turns,
      ['random 4 KiB miss', randomTurn((position) => file.read(buffer, 0, PAGE_BYTES, position))],
      ['fs.readSync O_DIRECT', randomTurn((position) => readSync(fd, memory, 0, PAGE_BYTES, position))],
    );

    const stream = (step: (position: number) => void, end: () => void): Turn => {
      return () =>
        timed(fileBytes / MIB, () => {
          for (let position = 0; position < fileBytes; position += MIB) step(position);
          end();
        });
    };
    file.advise('normal', 0, 0);
    const reading = sync.open('stream', 'r');
    takeTurns(
      figures,
      turns,
      [
        'sequential cold read, per MiB',
        () => {
          file.advise('dontneed', 0, fileBytes);
          return stream(
            (position) => reading.read(buffer, 0, MIB, position),
            () => {},
          )();
        },
      ],
      [
        '1 MiB O_DIRECT reads',
        stream(
          (position) => readSync(fd, memory, 0, MIB, position),
          () => {},
        ),
      ],
    );
    reading.close();
    takeTurns(
      figures,
      turns,
      [
        'sequential write and sync, per MiB',
        stream(
          (position) => file.write(buffer, 0, MIB, position),
          () => file.sync(),
        ),
      ],
      [
        '1 MiB O_DIRECT writes',
        stream(
          (position) => writeSync(fd, memory, 0, MIB, position),
          () => fsyncSync(fd),
        ),
      ],
    );
    file.close();
  } finally {
    closeSync(fd);
    sync.close();
    await store.close();
  }
  return figures;
}
