/**
 * An inode's number given away before its slot.
 *
 * Freeing an unlinked file put its inode number on the free list, and took its in-core slot out of the hash chain only
 * afterwards. A thread that created a file in between got the number, found the dying slot under it, and went on with a slot of
 * its own that was in no chain: locks were released that nobody held, and a file without a name stayed behind.
 */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { checkStore, createStore, openStore } from '#dist/src/index.js';
import { RemoteThread, type Scope } from '../support/remote-thread.js';
import { temporaryDirectory } from '../support/temporary.js';

const DURATION_MS = 1500;
const directory = temporaryDirectory(true);

/** Makes and removes files of its own, as fast as it can; each holds its name as long as it lives. */
function comeAndGo({ store }: Scope, thread: number, durationMs: number): number {
  let rounds = 0;
  for (const end = Date.now() + durationMs; Date.now() < end; rounds++) {
    const name = `${thread}-${rounds}`;
    const file = store.open(name, 'wx+');
    file.writeFile(name);
    store.unlink(name);
    const found = Buffer.alloc(32);
    const { bytesRead } = file.read(found, 0, 32, 0);
    if (found.toString('latin1', 0, bytesRead) !== name)
      throw new Error(`${name} holds ${found.subarray(0, bytesRead)}`);
    file.close();
  }
  return rounds;
}

it('threads that create and remove files never meet in one inode', async () => {
  const image = join(directory, 'inodes.img');
  await createStore(image, { sizeBytes: 16 * 1024 * 1024 });
  const store = await openStore(image, { threads: 2, cacheBytes: 4 * 1024 * 1024, verify: true });
  const threads = await Promise.all([1, 2, 3, 4].map(() => RemoteThread.start(store.handle)));
  const rounds = await Promise.all(threads.map((thread, i) => thread.run(comeAndGo, i, DURATION_MS)));
  for (const count of rounds) expect(count).toBeGreaterThan(0);
  await Promise.all(threads.map((thread) => thread.close()));
  expect((await store.statfs()).files).toBe(0);
  await store.close();
  expect(await checkStore(image)).toMatchObject({ clean: true, errors: [] });
});
