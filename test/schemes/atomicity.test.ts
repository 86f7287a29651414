/**
 * What a scheme says of reads beside writes: under one whose `readAtomicity` is 'request', a read sees all of a write or
 * nothing of it, whether it hits or misses, whichever face it goes through. EMMENTAL_ATOMICITY_MS is how long each of the
 * compared schemes is watched; the others half as long.
 */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createStore, openStore } from '#dist/src/index.js';
import { RemoteThread, type Scope } from '../support/remote-thread.js';
import { temporaryDirectory } from '../support/temporary.js';
import { isTestedInFull, testedSchemes } from '../support/tested-schemes.js';

const BYTES = 12 * 4096;
const DURATION_MS = Number(process.env.EMMENTAL_ATOMICITY_MS ?? 200);
/** Of each thread that reads, however slow the machine is. */
const READS_MIN = 10;
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

/** Reads records until told to stop, every other time into several buffers, counting into word `own`; returns how many of them were mixtures. */
function readOn({ store, keep }: Scope, stop: Int32Array, bytes: number, own: number): number {
  keep.file = store.open('records');
  const buffer = new Uint8Array(bytes);
  const parts = [buffer.subarray(0, 5000), buffer.subarray(5000, 5001), buffer.subarray(5001)];
  let mixtures = 0;
  while (Atomics.load(stop, 0) === 0) {
    if (Atomics.add(stop, own, 1) % 2 === 0) keep.file.read(buffer, 0, bytes, 1000);
    else keep.file.readv(parts, 1000);
    if (buffer.some((byte) => byte !== buffer[0])) mixtures++;
  }
  return mixtures;
}

/** Writes records of two lengths, each over the one before, and cuts the file back to the short one in between. */
function writeGrowing({ store, keep }: Scope, stop: Int32Array, bytes: number): void {
  keep.file = store.open('growing', 'r+');
  for (let value = 1; Atomics.load(stop, 0) === 0; value = (value % 255) + 1) {
    const length = value % 2 === 0 ? 2 * bytes : bytes;
    keep.file.write(new Uint8Array(length).fill(value), 0, length, 0);
    if (value % 2 === 0) keep.file.truncate(bytes);
  }
}

/** As readOn, of records that may be short because they end at the end of the file. */
function readGrowing({ store, keep }: Scope, stop: Int32Array, bytes: number): number {
  keep.file = store.open('growing');
  const buffer = new Uint8Array(2 * bytes);
  let mixtures = 0;
  while (Atomics.load(stop, 0) === 0) {
    const { bytesRead } = keep.file.read(buffer, 0, buffer.length, 0);
    if (buffer.subarray(0, bytesRead).some((byte) => byte !== buffer[0])) mixtures++;
    Atomics.add(stop, 1, 1);
  }
  return mixtures;
}

it.each(
  testedSchemes.map(
    (scheme) => [scheme.name, scheme.readAtomicity, DURATION_MS / (isTestedInFull(scheme) ? 1 : 2)] as const,
  ),
)('%s: %s', async (scheme, readAtomicity, durationMs) => {
  const image = join(directory, `${scheme}.img`);
  await createStore(image, { sizeBytes: 16 * 1024 * 1024 });
  const store = await openStore(image, { scheme, cacheBytes: 4 * 1024 * 1024, threads: 2, verify: true });
  const file = await store.open('records', 'w+');
  await file.write(Buffer.alloc(1000 + BYTES, 1), 0, 1000 + BYTES, 0);
  const threads = await Promise.all([1, 2, 3].map(() => RemoteThread.start(store.handle)));
  const stop = new Int32Array(new SharedArrayBuffer(12));
  const writing = threads[0].run(writeOn, stop, BYTES);
  const reading = [1, 2].map((own) => threads[own].run(readOn, stop, BYTES, own));
  let mixed = 0;
  const buffer = Buffer.alloc(BYTES);
  const isEnough = () => [1, 2].every((own) => Atomics.load(stop, own) > READS_MIN);
  for (const end = Date.now() + durationMs; Date.now() < end || !isEnough(); ) {
    await file.read(buffer, 0, BYTES, 1000);
    if (buffer.some((byte) => byte !== buffer[0])) mixed++;
  }
  Atomics.store(stop, 0, 1);
  await writing;
  for (const mixtures of await Promise.all(reading)) mixed += mixtures;
  // The other may show mixtures or not; it promises nothing.
  if (readAtomicity === 'request') expect(mixed).toBe(0);
  await Promise.all(threads.map((thread) => thread.close()));
  await store.close();
});

it.each(testedSchemes.filter((scheme) => scheme.readAtomicity === 'request').map(({ name }) => [name] as const))(
  '%s: a read that comes up short at the end of the file comes from one moment too',
  async (scheme) => {
    const image = join(directory, `${scheme}-growing.img`);
    await createStore(image, { sizeBytes: 16 * 1024 * 1024 });
    const store = await openStore(image, { scheme, cacheBytes: 4 * 1024 * 1024, threads: 2, verify: true });
    const bytes = 6000;
    const file = await store.open('growing', 'w+');
    await file.write(Buffer.alloc(bytes, 255), 0, bytes, 0);
    const threads = await Promise.all([1, 2].map(() => RemoteThread.start(store.handle)));
    const stop = new Int32Array(new SharedArrayBuffer(8));
    const writing = threads[0].run(writeGrowing, stop, bytes);
    const reading = threads[1].run(readGrowing, stop, bytes);
    const buffer = Buffer.alloc(2 * bytes);
    let mixed = 0;
    for (const end = Date.now() + DURATION_MS / 2; Date.now() < end || Atomics.load(stop, 1) <= READS_MIN; ) {
      const { bytesRead } = await file.read(buffer, 0, 2 * bytes, 0);
      if (buffer.subarray(0, bytesRead).some((byte) => byte !== buffer[0])) mixed++;
    }
    Atomics.store(stop, 0, 1);
    await writing;
    expect([mixed, await reading]).toEqual([0, 0]);
    await Promise.all(threads.map((thread) => thread.close()));
    await store.close();
  },
);
