// A store on a new image: write, read, list, close.
import { rmSync } from 'node:fs';
import { createStore, openStore } from 'emmental';

await createStore('basics.img', { sizeBytes: 64 * 1024 * 1024 });
const store = await openStore('basics.img');

const file = await store.open('logs/2026/11', 'w+');
await file.write('first line\n');
await file.appendFile('second line\n');
const { bytesRead, buffer } = await file.read({ buffer: Buffer.alloc(4), position: 6 });
console.log(buffer.toString('utf8', 0, bytesRead)); // line
await file.sync(); // durable from here on
await file.close();

for await (const { name, size } of store.list({ prefix: 'logs/' })) console.log(name, size);
await store.close();
rmSync('basics.img');
