// Code written for the browser's FileSystemSyncAccessHandle, on a file of a store.
import { rmSync } from 'node:fs';
import { createStore, openStore } from 'emmental';
import { accessHandle } from 'emmental/access-handle';
import { attachStore } from 'emmental/worker';

await createStore('handle.img', { sizeBytes: 16 * 1024 * 1024 });
const store = await openStore('handle.img');
const sync = attachStore(store.handle);
const handle = accessHandle(sync.open('opfs/data', 'w+'));

handle.write(new TextEncoder().encode('Hello Storage Foundation'));
const word = new Uint8Array(7);
handle.read(word, { at: 6 });
console.log(handle.getSize(), new TextDecoder().decode(word)); // 24 Storage
handle.truncate(16);
handle.flush(); // durable from here on
const size = handle.getSize();
handle.close();
try {
  handle.read(word);
} catch (error) {
  console.log(size, error.name); // 16 InvalidStateError
}
sync.close();
await store.close();
rmSync('handle.img');
