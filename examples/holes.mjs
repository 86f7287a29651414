// Sparse files: holes read as zeros and take no space; punching gives blocks back.
import { rmSync } from 'node:fs';
import { createStore, openStore } from 'emmental';

await createStore('holes.img', { sizeBytes: 64 * 1024 * 1024 });
const store = await openStore('holes.img');
const file = await store.open('sparse', 'w+');
await file.write(Buffer.alloc(1024 * 1024, 1), 0, 1024 * 1024, 2 ** 40); // a mebibyte of data behind a tebibyte of nothing
await file.punchHole(2 ** 40 + 64 * 1024, 128 * 1024);
await file.sync();

const { size, allocatedBytes } = await file.stat();
console.log(size, allocatedBytes); // 1099512676352 917504
console.log(await file.nextData(0), await file.nextHole(2 ** 40)); // 1099511627776 1099511693312
for (const { position, length } of await file.extents()) console.log(position, length);
await store.close();
rmSync('holes.img');
