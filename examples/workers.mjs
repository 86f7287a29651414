// Worker threads that share one file: each writes its part, and sees the others' parts without any copying between them.
import { rmSync } from 'node:fs';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { createStore, openStore } from 'emmental';
import { attachStore } from 'emmental/worker';

const PART = 1024 * 1024;
if (isMainThread) {
  await createStore('workers.img', { sizeBytes: 64 * 1024 * 1024 });
  const store = await openStore('workers.img');
  await (await store.open('shared', 'w')).truncate(4 * PART);
  const threads = [0, 1, 2, 3].map(
    (part) => new Worker(new URL(import.meta.url), { workerData: { handle: store.handle, part } }),
  );
  await Promise.all(threads.map((thread) => new Promise((resolve) => thread.once('exit', resolve))));
  const bytes = await (await store.open('shared')).readFile();
  console.log([0, 1, 2, 3].map((part) => bytes[part * PART])); // [ 1, 2, 3, 4 ]
  await store.close();
  rmSync('workers.img');
} else {
  const store = attachStore(workerData.handle);
  const file = store.open('shared', 'r+');
  file.write(new Uint8Array(PART).fill(workerData.part + 1), 0, PART, workerData.part * PART);
  store.close();
}
