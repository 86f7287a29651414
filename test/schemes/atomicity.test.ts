/**
 * What a scheme says of reads beside writes: under one whose `readAtomicity` is 'request', a read sees all of a write or
 * nothing of it, whether it hits or misses, whichever face it goes through.
 */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createStore, openStore, schemes } from '#dist/src/index.js';
import { RemoteThread, type Scope } from '../support/remote-thread.js';
import { temporaryDirectory } from '../support/temporary.js';

const BYTES = 12 * 4096;
const directory = temporaryDirectory(true);

/** Writes records of one value each over each other, until told to stop. */
function writeOn({ store, keep }: Scope, stop: Int32Array, bytes: number): number {
  keep.file = store.open('records', 'r+');
  let value = 0;
  while (Atomics.load(stop, 0) === 0) {
    value = (value % 255) + 1;
    keep.file.write(new Uint8Array(bytes).fill(value), 0, bytes, 1000);
    if (value % 50 === 0) {
      keep.file.sync();
      keep.file.advise('dontneed'); // so that some reads miss
    }
  }
  return value;
}

/** Reads records; returns how many, and how many were mixtures. */
function readOn({ store, keep }: Scope, stop: Int32Array, bytes: number): [number, number] {
  keep.file = store.open('records');
  const buffer = new Uint8Array(bytes);
  const [reads, mixtures] = [0, 1];
  const counts: [number, number] = [0, 0];
  while (Atomics.load(stop, 0) === 0) {
    keep.file.read(buffer, 0, bytes, 1000);
    counts[reads]++;
    if (buffer.some((byte) => byte !== buffer[0])) counts[mixtures]++;
  }
  return counts;
}

it.each(schemes.filter(({ safe }) => safe).map(({ name, readAtomicity }) => [name, readAtomicity] as const))(
  '%s: %s',
  async (scheme, readAtomicity) => {
    const image = join(directory, `${scheme}.img`);
    await createStore(image, { sizeBytes: 16 * 1024 * 1024 });
    const store = await openStore(image, { scheme, cacheBytes: 4 * 1024 * 1024, threads: 2, verify: true });
    const file = await store.open('records', 'w+');
    await file.write(Buffer.alloc(1000 + BYTES, 1), 0, 1000 + BYTES, 0);
    const threads = await Promise.all([1, 2, 3].map(() => RemoteThread.start(store.handle)));
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const writing = threads[0].run(writeOn, stop, BYTES);
    const reading = threads.slice(1).map((thread) => thread.run(readOn, stop, BYTES));
    let mixed = 0;
    const buffer = Buffer.alloc(BYTES);
    for (const end = Date.now() + 800; Date.now() < end; ) {
      await file.read(buffer, 0, BYTES, 1000);
      if (buffer.some((byte) => byte !== buffer[0])) mixed++;
    }
    Atomics.store(stop, 0, 1);
    await writing;
    for (const [reads, mixtures] of await Promise.all(reading)) {
      expect(reads).toBeGreaterThan(10);
      mixed += mixtures;
    }
    // The other may show mixtures or not; it promises nothing.
    if (readAtomicity === 'request') expect(mixed).toBe(0);
    await Promise.all(threads.map((thread) => thread.close()));
    await store.close();
  },
);
