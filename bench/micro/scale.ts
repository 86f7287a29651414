/** What must not grow: the time to create and list a file as files become many, and to open a device as it becomes large. */
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { formatTable } from '../../src/cli/print.js';
import { createStore, openStore } from '../../src/index.js';
import { formatLatency } from '../workloads/summary.js';
import { withStore } from './fixture.js';

const MIB = 1024 * 1024;
const TIB = 1024 ** 4;

/** Creates `files` files in steps, and lists all of them after each; times are per file. */
export async function namesTable(directory: string, files: number, steps = 5): Promise<string> {
  const path = join(directory, 'names.img');
  const rows = await withStore(path, 2048 * MIB, { cacheBytes: 256 * MIB }, async (store, sync) => {
    const measured: [string, string, string][] = [];
    const stepFiles = Math.ceil(files / steps);
    for (let made = 0; made < files; ) {
      const startMs = performance.now();
      for (const end = Math.min(made + stepFiles, files); made < end; made++) {
        // Names in no order, as hashes are.
        sync.open(`${(Math.imul(made, 0x9e3779b1) >>> 0).toString(16)}-${made}`, 'wx').close();
      }
      await store.sync();
      const createdMs = performance.now();
      let listed = 0;
      for await (const _entry of store.list()) listed++;
      const listedMs = performance.now();
      if (listed !== made) throw new Error(`${made} files were created, ${listed} are listed`);
      const perFile = (ms: number, count: number) => formatLatency((ms * 1e6) / count);
      measured.push([String(made), perFile(createdMs - startMs, stepFiles), perFile(listedMs - createdMs, listed)]);
    }
    return measured;
  });
  return formatTable(['files', 'create one', 'list one'], rows, ['files', 'create one', 'list one']);
}

/** Milliseconds to open a store on a sparse image of 1 TiB. */
export async function openLargeMs(directory: string): Promise<number> {
  const path = join(directory, 'large.img');
  await createStore(path, { sizeBytes: TIB });
  const startMs = performance.now();
  const store = await openStore(path);
  const ms = performance.now() - startMs;
  await store.close();
  return ms;
}
