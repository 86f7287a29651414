/** What several suites need: a directory that goes away, a store with a warm file, memory that O_DIRECT takes. */
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { createStore, type OpenOptions, openStore, type Store } from '../../src/index.js';
import { Frames } from '../../src/pagecache/frames.js';
import { type Frame, MIN_BLOCK_BYTES } from '../../src/units.js';
import { attachStore, type SyncStore } from '../../src/worker.js';
import { Random } from '../workloads/random.js';
import { fillPattern } from '../workloads/stamp.js';

const MIB = 1024 * 1024;
const THREADS_START_MS = 300;

/** A directory for the images of one suite; gone when the process ends, whatever the end is. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'emmental-micro-'));
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export function takesDirectIo(directory: string): boolean {
  try {
    closeSync(openSync(join(directory, 'direct'), constants.O_RDWR | constants.O_CREAT | constants.O_DIRECT, 0o600));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EINVAL') return false;
    throw error;
  }
}

/** Page-aligned shared memory of the kind that the cache of a store that large is made of. */
export function alignedMemory(bytes: number): Uint8Array {
  const frames = new Frames(
    Frames.allocate(bytes / MIN_BLOCK_BYTES, MIN_BLOCK_BYTES),
    MIN_BLOCK_BYTES,
    bytes / MIN_BLOCK_BYTES,
  );
  return frames.run(1 as Frame, bytes / MIN_BLOCK_BYTES);
}

export async function withStore<T>(
  path: string,
  sizeBytes: number,
  options: OpenOptions,
  use: (store: Store, sync: SyncStore) => Promise<T>,
): Promise<T> {
  await createStore(path, { sizeBytes });
  return openWith(path, options, use);
}

/** Opens a store for the length of `use`, on its thread through both interfaces. */
export async function openWith<T>(
  path: string,
  options: OpenOptions,
  use: (store: Store, sync: SyncStore) => Promise<T>,
): Promise<T> {
  const store = await openStore(path, options);
  try {
    const sync = attachStore(store.handle);
    // The store's threads start while the event loop turns, which it does no more once `use` is at work.
    await setTimeout(THREADS_START_MS);
    try {
      return await use(store, sync);
    } finally {
      sync.close();
    }
  } finally {
    await store.close();
  }
}

/** Writes a file of that size, without a hole, and makes it durable. */
export function fillFile(store: SyncStore, name: string, sizeBytes: number): void {
  const file = store.open(name, 'w');
  const chunk = new Uint8Array(MIB);
  fillPattern(chunk, new Random(1));
  for (let position = 0; position < sizeBytes; position += chunk.length) {
    file.write(chunk, 0, Math.min(chunk.length, sizeBytes - position), position);
  }
  file.sync();
  file.close();
}

/** Every multiple of `stepBytes` below `sizeBytes`, shuffled. */
export function shuffledPositions(sizeBytes: number, stepBytes: number, seed = 1): Float64Array {
  const random = new Random(seed);
  const positions = Float64Array.from({ length: Math.floor(sizeBytes / stepBytes) }, (_, i) => i * stepBytes);
  for (let i = positions.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [positions[i], positions[j]] = [positions[j], positions[i]];
  }
  return positions;
}
