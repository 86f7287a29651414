/**
 * A punch that is held in its middle, and what goes on beside it under schemes whose locks know ranges: writes, growth,
 * truncation and allocation of other pages; under `range-lock` fills of them too. Under each, what the punch is about waits
 * for it.
 */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { checkStore, createStore, openStore } from '#dist/src/index.js';
import { Arena } from '#dist/src/sync/arena.js';
import { holdPoint, releasePoint, waitArrived } from '#dist/src/sync/gates.js';
import { attachStore } from '#dist/src/worker.js';
import { expectBytes, pattern } from '../support/bytes.js';
import { RemoteThread } from '../support/remote-thread.js';
import { temporaryDirectory } from '../support/temporary.js';

const B = 4096;
const PAGES = 64;
const directory = temporaryDirectory(true);

it.each(['range-lock', 'two-state'])('%s', async (scheme) => {
  const image = join(directory, `${scheme}.img`);
  await createStore(image, { sizeBytes: 16 * 1024 * 1024 });
  const store = await openStore(image, { scheme, cacheBytes: 4 * 1024 * 1024, threads: 2, verify: true });
  const arena = new Arena(store.handle.arena, store.handle.layout);
  const sync = attachStore(store.handle);
  const threads = await Promise.all([1, 2, 3].map(() => RemoteThread.start(store.handle)));
  const [puncher, second, reader] = threads;
  const model = Buffer.from(pattern(PAGES * B));
  const file = sync.open('file', 'w+');
  file.write(model, 0, model.length, 0);
  file.sync();
  for (const thread of threads) {
    await thread.run(({ store, keep }) => {
      keep.file = store.open('file', 'r+');
      keep.file.advise('random');
    });
  }
  // Dirty, and larger than the device knows: what the punch pushes is the size of its own time.
  file.write(model, 0, B, (PAGES - 1) * B + 10);
  model.copyWithin((PAGES - 1) * B + 10, 0, B - 10);
  const tail = Buffer.from(model.subarray(B - 10, B));

  holdPoint(arena, 'punch:dropped');
  const punching = puncher.run(({ keep }, position, length) => keep.file.punchHole(position, length), 8 * B, 4 * B);
  expect(waitArrived(arena, 'punch:dropped', 1, 10_000)).toBe(true);
  file.advise('random');
  if (scheme === 'range-lock') {
    file.advise('dontneed', 40 * B, B);
    const bytes = Buffer.alloc(B);
    file.read(bytes, 0, B, 40 * B);
    expectBytes(bytes, model.subarray(40 * B, 41 * B));
  }
  file.write(Buffer.alloc(3 * B, 7), 0, 3 * B, 49 * B + 5);
  model.fill(7, 49 * B + 5, 52 * B + 5);
  // Grows, by a part of a page and by far.
  let content = Buffer.concat([model, tail]);
  file.write(Buffer.alloc(B, 8), 0, B, 70 * B);
  content = Buffer.concat([content, Buffer.alloc(70 * B - content.length), Buffer.alloc(B, 8)]);
  file.fallocate(71 * B, 10 * B);
  content = Buffer.concat([content, Buffer.alloc(10 * B)]);
  file.fallocate(20 * B, B, { keepSize: true });
  file.zeroRange(24 * B + 1, B, { keepSize: true });
  content.fill(0, 24 * B + 1, 25 * B + 1);
  // Another punch comes as far as the first one.
  const punchingToo = second.run(({ keep }, position, length) => keep.file.punchHole(position, length), 30 * B, 3 * B);
  expect(waitArrived(arena, 'punch:dropped', 2, 10_000)).toBe(true);
  content.fill(0, 30 * B, 33 * B);
  file.truncate(60 * B + 100);
  content = content.subarray(0, 60 * B + 100);
  file.appendFile(Buffer.alloc(B, 9));
  content = Buffer.concat([content, Buffer.alloc(B, 9)]);
  expect(file.stat().size).toBe(content.length);

  let isRead = false;
  const reading = reader
    .run(
      ({ keep }, position, length) => {
        const bytes = new Uint8Array(length);
        keep.file.read(bytes, 0, length, position);
        return bytes;
      },
      9 * B,
      100,
    )
    .then((bytes) => {
      isRead = true;
      return bytes;
    });
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(isRead).toBe(false);
  releasePoint(arena, 'punch:dropped');
  await Promise.all([punching, punchingToo]);
  content.fill(0, 8 * B, 12 * B);
  expectBytes(await reading, Buffer.alloc(100));
  await Promise.all(threads.map((thread) => thread.close()));
  file.close();
  sync.close();
  await store.close();
  expect(await checkStore(image)).toMatchObject({ clean: true, errors: [] });

  const again = await openStore(image, { threads: 2 });
  const found = await again.open('file');
  expect((await found.stat()).size).toBe(content.length);
  expectBytes((await found.readFile()) as Buffer, content);
  await found.close();
  await again.close();
});
