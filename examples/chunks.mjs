// Two interfaces that peer-to-peer libraries store their data through, on files of a store.
import { rmSync } from 'node:fs';
import { promisify } from 'node:util';
import { createStore, openStore } from 'emmental';
import { ChunkStore } from 'emmental/chunk-store';
import { randomAccess } from 'emmental/random-access-storage';

await createStore('chunks.img', { sizeBytes: 16 * 1024 * 1024 });
const store = await openStore('chunks.img');

const torrent = new ChunkStore(16384, { store, name: 'torrents/1' }); // as WebTorrent has it
await promisify(torrent.put.bind(torrent))(3, Buffer.alloc(16384, 'piece '));
const piece = await promisify(torrent.get.bind(torrent))(3, { length: 5 });
console.log(piece.toString(), (await store.stat('torrents/1')).size); // piece 65536
await promisify(torrent.close.bind(torrent))();

const core = randomAccess(store, 'cores/1'); // as Hypercore has it
await promisify(core.write.bind(core))(0, Buffer.alloc(65536, 1));
await promisify(core.del.bind(core))(0, 32768); // a hole
const { size, blocks } = await promisify(core.stat.bind(core))();
console.log(size, blocks * 512); // 65536 32768
await promisify(core.close.bind(core))();
await store.close();
rmSync('chunks.img');
