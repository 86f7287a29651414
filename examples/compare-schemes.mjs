// The same work under several locking schemes: how often is a file read while another thread writes to it?
import { rmSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { createStore, openStore } from 'emmental';

/** Runs in the store's own threads. */
export default function readOrWrite(store, { ms, isWriter }) {
  const file = store.open('contended', 'r+');
  const bytes = new Uint8Array(8192);
  let calls = 0;
  for (const end = Date.now() + ms; Date.now() < end; calls++) {
    const position = Math.floor(Math.random() * 1000) * 8192;
    isWriter ? file.write(bytes, 0, 8192, position) : file.read(bytes, 0, 8192, position);
  }
  return calls;
}

if (isMainThread) {
  await createStore('compare.img', { sizeBytes: 64 * 1024 * 1024 });
  for (const name of ['invalidate-lock', 'i-rwsem', 'optimistic']) {
    const store = await openStore('compare.img', { scheme: name, threads: 2 });
    await (await store.open('contended', 'w')).writeFile(Buffer.alloc(1000 * 8192));
    const jobs = [false, true].map((isWriter) => store.run(import.meta.url, { ms: 100, isWriter }));
    const [reads, writes] = await Promise.all(jobs);
    console.log(`${name}: ${reads} reads beside ${writes} writes`);
    await store.close();
  }
  rmSync('compare.img');
}
