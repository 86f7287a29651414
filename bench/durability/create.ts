/** Metadata alone: files are created by one thread, one after the other, and made durable by one `sync` at the end. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { withPreallocatedStore } from './preallocated.js';

const MIB = 1024 * 1024;
/** Of the image, more than a file's inode and name take. */
const BYTES_A_FILE = 2048;

export interface CreateFigures {
  /** Files a second, their sync included: names as counted, and names as hashes are. */
  ordered: number;
  hashed: number;
}

export async function createFiles(directory: string, files: number): Promise<CreateFigures> {
  // A few at first, so that the code is compiled.
  await rate(directory, Math.min(files, 20_000), inOrder);
  return { ordered: await rate(directory, files, inOrder), hashed: await rate(directory, files, inNoOrder) };
}

async function rate(directory: string, files: number, nameOf: (i: number) => string): Promise<number> {
  const path = join(directory, 'create.img');
  const shape = {
    sizeBytes: 32 * MIB + Math.ceil((files * BYTES_A_FILE) / MIB) * MIB,
    open: { cacheBytes: 256 * MIB, threads: 2 },
  };
  const perSecond = await withPreallocatedStore(path, shape, async (_store, sync) => {
    const names = Array.from({ length: files }, (_, i) => nameOf(i));
    const startMs = performance.now();
    for (const name of names) sync.open(name, 'wx').close();
    sync.sync();
    return (files * 1000) / (performance.now() - startMs);
  });
  rmSync(path);
  return perSecond;
}

function inOrder(i: number): string {
  return `file-${String(i).padStart(8, '0')}`;
}

function inNoOrder(i: number): string {
  return `${(Math.imul(i, 0x9e3779b1) >>> 0).toString(16)}-${i}`;
}
