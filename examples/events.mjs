// What a store does on this thread, as events of node:diagnostics_channel; and what it has counted in all threads.
import { subscribe } from 'node:diagnostics_channel';
import { rmSync } from 'node:fs';
import { createStore, openStore } from 'emmental';
import { attachStore } from 'emmental/worker';

await createStore('events.img', { sizeBytes: 64 * 1024 * 1024 });
const store = await openStore('events.img', { monitor: true }); // meanwhile, elsewhere: emmental top events.img
const sync = attachStore(store.handle);
const file = sync.open('watched', 'w+');
file.write(new Uint8Array(64 * 1024));
file.sync();
file.advise('dontneed', 0, 64 * 1024);
file.advise('random', 0, 64 * 1024);

subscribe('emmental:fill', ({ ino, firstPage, pages }) => {
  if (ino !== 0) console.log('fill', firstPage, pages); // fill 3 1
});
subscribe('emmental:invalidation', ({ firstPage, endPage }) => {
  console.log('invalidation', firstPage, endPage); // invalidation 4 8
});
file.read(new Uint8Array(4096), 0, 4096, 3 * 4096); // from the device
file.read(new Uint8Array(4096), 0, 4096, 3 * 4096); // a hit: nothing is told
file.punchHole(4 * 4096, 4 * 4096);
console.log(store.stats().punches); // 1

sync.close();
await store.close();
rmSync('events.img');
