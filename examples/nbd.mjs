// A file of a store as a network block device, and a store on a network block device: here each other's.
import { rmSync } from 'node:fs';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { createStore, openStore } from 'emmental';
import { serveNbd } from 'emmental/nbd';

if (isMainThread) {
  await createStore('outer.img', { sizeBytes: 96 * 2 ** 20 });
  const store = await openStore('outer.img');
  const disk = await store.open('disk', 'w');
  await disk.truncate(64 * 2 ** 20);
  await disk.close();
  const server = await serveNbd(store, { socket: 'nbd.sock', exports: ['disk'] });
  console.log(server.uri); // nbd+unix:///?socket=nbd.sock
  await new Promise((resolve) => new Worker(new URL(import.meta.url), { workerData: server.uri }).on('exit', resolve));
  await server.close();
  await store.close();
  rmSync('outer.img');
} else {
  await createStore(workerData);
  const inner = await openStore(workerData);
  const file = await inner.open('note', 'w+');
  await file.writeFile('through the socket');
  console.log((await inner.stat('note')).size, (await inner.statfs()).blocks); // 18 16384
  await inner.close();
}
