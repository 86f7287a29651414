/**
 * The process that the kill test ends: opens the store, starts threads that write, sync and announce, and lives until it is
 * killed. argv: path, seed, threads, round. Its threads' script lies beside it, where both are bundled.
 */
import { Worker } from 'node:worker_threads';
import { openStore } from '../../dist/src/index.js';

const [path, seed, threads, round] = process.argv.slice(2);
const store = await openStore(path, { cacheBytes: 2 * 2 ** 20, dirtyExpireMs: 20, threads: 2 });
for (let index = 0; index < Number(threads); index++) {
  const workerData = { handle: store.handle, seed: Number(seed), index, round: Number(round) };
  const worker = new Worker(new URL('./kill-thread.js', import.meta.url), { workerData });
  worker.on('error', (error) => {
    console.error(error);
    process.exit(3);
  });
}
