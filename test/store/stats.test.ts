/** What `stats()` tells of the pages of the cache. */
import { expect, test } from 'vitest';
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import { snapshotStats } from '#dist/src/store/stats.js';
import { inMemory } from '../support/in-memory.js';

const PAGE = 4096;
const FRAMES = 512;
const WRITTEN = 64;
/** Pages that metadata may take meanwhile. */
const METADATA = 16;

test('free pages are those that were never used, and those that were given back', () => {
  const { store, session, finish } = inMemory(new MemoryDevice(16 * 2 ** 20), { format: true, frames: FRAMES });
  const pages = () => snapshotStats(session).pages;
  const before = pages();
  expect(before.total).toBe(FRAMES);
  expect(before.free).toBeGreaterThan(FRAMES - METADATA);
  const file = store.open('file', 'w+');
  file.write(new Uint8Array(WRITTEN * PAGE).fill(1), 0, WRITTEN * PAGE, 0);
  file.sync();
  const taken = before.free - pages().free;
  expect(taken).toBeGreaterThanOrEqual(WRITTEN);
  expect(taken).toBeLessThan(WRITTEN + METADATA);
  file.truncate(0);
  expect(before.free - pages().free).toBeLessThan(METADATA);
  file.close();
  expect(finish().errors).toEqual([]);
});
