// SQLite (wa-sqlite) with its database inside a store.
import { rmSync } from 'node:fs';
import { createStore, openStore } from 'emmental';
import { openSqlite } from 'emmental/wa-sqlite';
import { attachStore } from 'emmental/worker';

await createStore('sqlite.img', { sizeBytes: 32 * 1024 * 1024 });
const store = await openStore('sqlite.img');
const sync = attachStore(store.handle); // each thread attaches, and loads its own SQLite
const sqlite = await openSqlite(sync);

const db = await sqlite.open_v2('databases/notes');
await sqlite.exec(db, `create table notes (text); insert into notes values ('first'), ('second')`);
await sqlite.exec(db, 'select count(*), max(text) from notes', ([count, last]) => console.log(count, last)); // 2 second
await sqlite.close(db);
console.log([...sync.list()].map(({ name }) => name)); // [ 'databases/notes' ]
sync.close();
await store.close();
rmSync('sqlite.img');
