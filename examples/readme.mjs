import { isMainThread } from 'node:worker_threads';
import { createStore, openStore } from 'emmental';

// Runs on worker threads: synchronous, and on the same cached pages.
export default (store, position) => {
  const { buffer } = store.open('log').read({ buffer: Buffer.alloc(5), position });
  return buffer.toString();
};

if (isMainThread) {
  await createStore('demo.img', { sizeBytes: 64 * 2 ** 20, overwrite: true });
  const store = await openStore('demo.img');
  const file = await store.open('log', 'w+');
  await file.write('hello', 1_000_000); // what lies before it is a hole
  console.log(await store.run(import.meta.url, 1_000_000));
  await file.punchHole(999_000, 2_000);
  console.log((await file.readFile()).length, (await file.stat()).allocatedBytes);
  await store.close();
}
