// Streams of Node and of the web, from one file of a store to another.
import { rmSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { createStore, openStore } from 'emmental';

await createStore('streams.img', { sizeBytes: 64 * 1024 * 1024 });
const store = await openStore('streams.img');
await (await store.open('text', 'w')).writeFile('all work and no play\n'.repeat(10_000));

/** Streams close their files at their end. */
async function convert(from, transform, to) {
  const [source, target] = [await store.open(from), await store.open(to, 'w')];
  await pipeline(source.createReadStream(), transform, target.createWriteStream());
}
await convert('text', createGzip(), 'packed');
await convert('packed', createGunzip(), 'unpacked');
console.log((await store.stat('unpacked')).size); // 210000

let bytes = 0;
for await (const chunk of (await store.open('unpacked')).readableWebStream()) bytes += chunk.byteLength;
console.log(bytes, (await store.stat('packed')).size < 4096); // 210000 true
await store.close();
rmSync('streams.img');
