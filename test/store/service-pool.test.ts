/** Service threads are started when there is work for them. */
import { existsSync, readdirSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { createStore, openStore } from '#dist/src/index.js';
import { temporaryDirectory } from '../support/temporary.js';

const MIB = 1024 * 1024;
const path = `${temporaryDirectory(true)}/threads.img`;

/** Threads of this process, of all kinds. */
const threads = () => readdirSync('/proc/self/task').length;

test.runIf(existsSync('/proc/self/task'))('threads start when they are needed, and no more than that', async () => {
  await createStore(path, { sizeBytes: 64 * MIB });
  await stat(path); // The host's own threads for files start with the first use of them.
  const store = await openStore(path, { cacheBytes: 8 * MIB, threads: 4 });
  const before = threads();
  await store.statfs();
  expect(threads()).toBe(before);
  await store.exists('a');
  await store.exists('b');
  expect(threads()).toBe(before + 1);
  await Promise.all(Array.from({ length: 40 }, (_, i) => store.exists(`c${i}`)));
  expect(threads()).toBe(before + 3);
  const file = await store.open('a', 'w');
  await expect.poll(threads).toBe(before + 4);
  await file.close();
  void store.handle;
  expect(threads()).toBe(before + 4);
  await store.close();
});

test.runIf(existsSync('/proc/self/task'))('whoever shares a store has all of its threads', async () => {
  const store = await openStore(path, { cacheBytes: 8 * MIB, threads: 3 });
  const before = threads();
  void store.handle;
  await expect.poll(threads).toBe(before + 3);
  await store.close();
  // A handle that is looked at later starts nothing.
  const after = threads();
  void store.handle;
  expect(threads()).toBe(after);
});
