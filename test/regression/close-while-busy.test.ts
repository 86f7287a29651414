/**
 * Closing while calls are under way.
 *
 * A file's record was cleared, and its inode given back, while a read of the same file was still running on another service
 * thread: the read went on with an inode that could be anybody's by then. Calls made before the close and not yet begun
 * failed. A store that was closed in the middle of a write of many pieces took its service threads away, and the next piece
 * waited for ever. And a write hit of another thread, begun just before the close, could dirty a page after the last
 * writeback: reported as written, and lost.
 */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { checkStore, createStore, openStore, type Store } from '#dist/src/index.js';
import { expectBytes, pattern } from '../support/bytes.js';
import { RemoteThread, type Scope } from '../support/remote-thread.js';
import { temporaryDirectory } from '../support/temporary.js';

const MIB = 1024 * 1024;
const BYTES = pattern(6 * MIB);
const directory = temporaryDirectory(true);

async function withStore(name: string, use: (store: Store) => Promise<void>): Promise<string> {
  const image = join(directory, name);
  await createStore(image, { sizeBytes: 32 * MIB });
  const store = await openStore(image, { threads: 3, cacheBytes: 4 * MIB, verify: true });
  await use(store);
  await store.close();
  expect(await checkStore(image)).toMatchObject({ clean: true, errors: [] });
  return image;
}

async function contentOf(image: string, name: string): Promise<Buffer> {
  const store = await openStore(image, { threads: 2, cacheBytes: 8 * MIB });
  const content = (await (await store.open(name)).readFile()) as Buffer;
  await store.close();
  return content;
}

it('a file waits for its reads and writes', async () => {
  await withStore('file.img', async (store) => {
    for (let i = 0; i < 3; i++) {
      const file = await store.open('x', 'w+');
      const writing = file.write(BYTES, 0, BYTES.length, 0);
      await file.close();
      expect((await writing).bytesWritten).toBe(BYTES.length);
      const reader = await store.open('x');
      await reader.advise('dontneed');
      const found = Buffer.alloc(BYTES.length);
      const reading = reader.read(found, 0, found.length, 0);
      const closing = reader.close();
      await store.unlink('x');
      await closing;
      expect((await reading).bytesRead).toBe(found.length);
      expectBytes(found, BYTES);
    }
  });
});

it('a file finishes the calls that use its own position', async () => {
  await withStore('position.img', async (store) => {
    const file = await store.open('x', 'w');
    const writes = ['one', 'two', 'three'].map((text) => file.write(text));
    await file.close();
    await Promise.all(writes);
    const reader = await store.open('x', 'r+');
    const reading = reader.readFile('utf8');
    const appending = reader.appendFile('!');
    await reader.close();
    await appending;
    expect(await reading).toMatch(/^onetwothree!?$/);
    expect(await (await store.open('x')).readFile('utf8')).toBe('onetwothree!');
  });
});

it('a store finishes a write of many pieces', async () => {
  let writing: Promise<{ bytesWritten: number }> | undefined;
  const image = await withStore('store.img', async (store) => {
    const file = await store.open('x', 'w');
    writing = file.write(BYTES, 0, BYTES.length, 0);
  });
  expect((await writing)?.bytesWritten).toBe(BYTES.length);
  expectBytes(await contentOf(image, 'x'), BYTES);
});

it('a store keeps what another thread was told is written', async () => {
  for (let i = 0; i < 3; i++) {
    const told = new Int32Array(new SharedArrayBuffer(4));
    let writer: RemoteThread | undefined;
    const image = await withStore(`hits-${i}.img`, async (store) => {
      writer = await RemoteThread.start(store.handle);
      const writing = writer.run(countUp, told);
      writing.catch(() => {});
      while (Atomics.load(told, 0) < 100) await new Promise((resolve) => setTimeout(resolve, 1));
    });
    await writer?.kill();
    const found = (await contentOf(image, 'counter')).readInt32LE();
    // The write that was under way may be in the file without anybody having been told.
    expect(found).toBeGreaterThanOrEqual(told[0]);
    expect(found).toBeLessThanOrEqual(told[0] + 1);
  }
});

function countUp({ store }: Scope, told: Int32Array): void {
  const file = store.open('counter', 'w+');
  const word = new Int32Array(1);
  const bytes = new Uint8Array(word.buffer);
  for (;;) {
    word[0] += 1;
    file.write(bytes, 0, 4, 0);
    Atomics.store(told, 0, word[0]);
  }
}
