// A zero-copy window on a cached page, and what becomes of it when its page is punched away.
import { rmSync } from 'node:fs';
import { createStore, openStore } from 'emmental';
import { attachStore } from 'emmental/worker';

await createStore('pin.img', { sizeBytes: 16 * 1024 * 1024 });
const store = await openStore('pin.img');
const sync = attachStore(store.handle); // the synchronous interface, here on the same thread
const file = sync.open('page', 'w+');
file.write('hello');

const page = file.pin(0, { write: true });
page.bytes.set(Buffer.from('HELLO')); // straight into the cache
page.release(); // dirty from here on
const window = file.pin(0);
file.punchHole(0, 4096);
console.log(Buffer.from(window.bytes.subarray(0, 5)).toString(), window.current); // HELLO false
window.release();

sync.close();
await store.close();
rmSync('pin.img');
