/**
 * What one thread pays for 4 KiB that are durable: a write and a `sync`, over blocks that the file has and over new ones at its
 * end, beside the same disk without an engine: 4 KiB with O_DIRECT and `fdatasync`, once and twice. The sides take turns in short
 * runs; the figure is the median call.
 */
import { closeSync, fdatasyncSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { alignedMemory, fillFile } from '../micro/fixture.js';
import type { Claim, Figures } from '../micro/measure.js';
import { preallocate, withPreallocatedStore } from './preallocated.js';
import { lengthenFlushes } from './slow-flush.js';

const MIB = 1024 * 1024;
const UNIT_BYTES = 4096;
const CALLS_A_TURN = 50;
/** Bare files are written at places as far from each other as the store's. */
const SCATTER = 37;

export const OVERWRITE = 'sync after 4 KiB over old ones';
export const APPEND = 'sync after 4 KiB at the end';
export const BARE = 'write and fdatasync';
export const BARE_TWICE = 'write and fdatasync, twice';

export const CLAIMS: Claim[] = [
  { name: OVERWRITE, other: BARE_TWICE, atMost: 1.3 },
  { name: APPEND, other: BARE_TWICE, atMost: 1.3 },
];

export async function measureSync(
  directory: string,
  fileBytes: number,
  turns: number,
  flushMs: number,
): Promise<Figures> {
  const path = join(directory, 'sync.img');
  const shape = { sizeBytes: fileBytes * 2 + 32 * MIB, open: { cacheBytes: 128 * MIB, threads: 2 } };
  const figures = await withPreallocatedStore(path, shape, async (_store, sync) => {
    const bare = join(directory, 'bare.img');
    const fd = preallocate(bare, fileBytes);
    fillFile(sync, 'file', fileBytes);
    const file = sync.open('file', 'r+');
    const buffer = new Uint8Array(UNIT_BYTES).fill(2);
    const memory = alignedMemory(UNIT_BYTES).fill(2);
    const units = fileBytes / UNIT_BYTES;
    const scattered = (call: number) => ((call * SCATTER) % units) * UNIT_BYTES;
    const writeBare = (call: number): void => {
      writeSync(fd, memory, 0, UNIT_BYTES, scattered(call));
      fdatasyncSync(fd);
    };
    const sides: [string, (call: number) => void][] = [
      [
        OVERWRITE,
        (call) => {
          file.write(buffer, 0, UNIT_BYTES, scattered(call));
          file.sync();
        },
      ],
      [
        APPEND,
        (call) => {
          file.write(buffer, 0, UNIT_BYTES, fileBytes + call * UNIT_BYTES);
          file.sync();
        },
      ],
      [BARE, writeBare],
      [
        BARE_TWICE,
        (call) => {
          writeBare(call);
          writeBare(call);
        },
      ],
    ];
    const result = takeTurns(sides, turns, flushMs);
    file.close();
    closeSync(fd);
    rmSync(bare);
    return result;
  });
  rmSync(path);
  return figures;
}

/** The first half of the turns lets the code be compiled: what a process pays that syncs for longer than a few seconds. */
function takeTurns(sides: [string, (call: number) => void][], turns: number, flushMs: number): Figures {
  const times = new Map(sides.map(([name]) => [name, [] as number[]]));
  for (let turn = 0; turn < turns; turn++) {
    if (turn >= turns / 2) lengthenFlushes(flushMs);
    for (const [name, call] of turn % 2 === 0 ? sides : [...sides].reverse()) {
      for (let i = turn * CALLS_A_TURN; i < (turn + 1) * CALLS_A_TURN; i++) {
        const startMs = performance.now();
        call(i);
        if (turn >= turns / 2) times.get(name)!.push((performance.now() - startMs) * 1e6);
      }
    }
  }
  lengthenFlushes(0);
  const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1];
  return new Map([...times].map(([name, values]) => [name, median(values)]));
}
