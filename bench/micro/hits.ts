/** The hit path: reads and writes of cached pages, beside a plain copy, one atomic operation and the host's system calls. */
import { closeSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Store } from '../../src/index.js';
import type { SyncStore } from '../../src/worker.js';
import { alignedMemory, fillFile, shuffledPositions } from './fixture.js';
import type { Case, Suite } from './measure.js';

const MIB = 1024 * 1024;
export const SET_BYTES = 64 * MIB;
const PAGE_BYTES = 4096;
const BATCH = 1000;
const AWAITED_BATCH = 100;

/** Positions that go round, so that a batch goes on where the last one ended. */
function roundRobin(positions: Float64Array): () => number {
  let at = 0;
  return () => {
    const position = positions[at];
    at = at + 1 === positions.length ? 0 : at + 1;
    return position;
  };
}

function repeated(name: string, batch: number, once: () => void): Case {
  const run = () => {
    for (let i = 0; i < batch; i++) once();
  };
  return { name, batch, run };
}

function awaited(name: string, batch: number, once: () => Promise<unknown>): Case {
  const run = async () => {
    for (let i = 0; i < batch; i++) await once();
  };
  return { name, batch, run };
}

/** The synchronous API on this thread. */
export function syncHits(sync: SyncStore, directory: string): { suites: Suite[]; close(): void } {
  fillFile(sync, 'hits', SET_BYTES);
  const file = sync.open('hits', 'r+');
  const warm = new Uint8Array(MIB);
  for (let position = 0; position < SET_BYTES; position += MIB) file.read(warm, 0, MIB, position);
  const hostPath = join(directory, 'hits.bin');
  writeFileSync(hostPath, new Uint8Array(SET_BYTES).fill(7));
  const fd = openSync(hostPath, 'r+');
  const memory = alignedMemory(SET_BYTES).fill(7);
  const counter = new Int32Array(new SharedArrayBuffer(64));

  const suites = [PAGE_BYTES, 64].map((bytes): Suite => {
    const buffer = new Uint8Array(bytes);
    const positions = shuffledPositions(SET_BYTES, PAGE_BYTES);
    const next = () => roundRobin(positions);
    const [a, b, c, d, e, f] = [next(), next(), next(), next(), next(), next()];
    const size = bytes === PAGE_BYTES ? '4 KiB' : `${bytes} B`;
    return {
      name: `hits of ${size}, one thread, 64 MiB set`,
      cases: [
        repeated('read hit', BATCH, () => file.read(buffer, 0, bytes, a())),
        repeated('copy out of shared memory', BATCH, () => {
          const position = b();
          buffer.set(memory.subarray(position, position + bytes));
        }),
        repeated('fs.readSync', BATCH, () => readSync(fd, buffer, 0, bytes, c())),
        repeated('write hit', BATCH, () => file.write(buffer, 0, bytes, d())),
        repeated('copy into shared memory', BATCH, () => memory.set(buffer, e())),
        repeated('fs.writeSync', BATCH, () => writeSync(fd, buffer, 0, bytes, f())),
        repeated('Atomics.add', BATCH, () => Atomics.add(counter, 0, 1)),
        repeated('pin and release', BATCH, () => file.pin(a()).release()),
      ],
      claims:
        bytes === PAGE_BYTES
          ? [
              { name: 'read hit', other: 'copy out of shared memory', atMost: 1.3 },
              { name: 'read hit', other: 'fs.readSync', atLeast: 1.6 },
              { name: 'write hit', other: 'fs.writeSync' },
            ]
          : [{ name: 'read hit', other: 'fs.readSync', atLeast: 5 }],
    };
  });
  return {
    suites,
    close() {
      file.close();
      closeSync(fd);
    },
  };
}

/** The asynchronous API on the opening thread; needs what `syncHits` laid out. */
export async function awaitedHits(store: Store, directory: string): Promise<{ suite: Suite; close(): Promise<void> }> {
  const file = await store.open('hits', 'r');
  const host: FileHandle = await open(join(directory, 'hits.bin'), 'r');
  const positions = shuffledPositions(SET_BYTES, PAGE_BYTES);
  const [a, b] = [roundRobin(positions), roundRobin(positions)];
  const buffer = new Uint8Array(PAGE_BYTES);
  return {
    suite: {
      name: 'hits of 4 KiB, awaited on the opening thread',
      cases: [
        awaited('File.read', AWAITED_BATCH, () => file.read(buffer, 0, PAGE_BYTES, a())),
        awaited('FileHandle.read', AWAITED_BATCH, () => host.read(buffer, 0, PAGE_BYTES, b())),
      ],
      claims: [{ name: 'File.read', other: 'FileHandle.read', atLeast: 15 }],
    },
    async close() {
      await file.close();
      await host.close();
    },
  };
}
