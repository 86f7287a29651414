/**
 * A crash cut a truncation short, before the rest of the last block was zeros on the device. The next opening met an error
 * when it read that block, left it as it was, and forgot that there was anything to do. The error did not last; and when
 * the file grew, it showed what the truncation had cut off. Now such an opening fails, and the next one tries again. Who
 * has given the block up gets the store back by a repair.
 */
import { expect, it } from 'vitest';
import type { MemoryDevice } from '#dist/src/device/memory-device.js';
import { StoreError } from '#dist/src/errors.js';
import { checkDevice } from '#dist/src/store/check.js';
import { cutTruncation } from '../support/cut-truncation.js';
import { failureOf } from '../support/expect-code.js';
import { pattern } from '../support/file-world.js';
import { inMemory } from '../support/in-memory.js';

const BLOCK = 4096;
const SIZE = 5000;
const bytes = pattern(1, 2 * BLOCK);

/** Reading the block of the file's end fails from now on. Returns how often it did. */
function failing(device: MemoryDevice): () => number {
  const reader = inMemory(device.clone(), { readOnly: true });
  const file = reader.store.open('file');
  const [{ devicePosition }] = file.extents();
  let failures = 0;
  device.onRead = (position, length) => {
    if (position + length <= devicePosition + BLOCK || position > devicePosition + BLOCK) return undefined;
    failures += 1;
    throw new StoreError('EIO', { syscall: 'read', detail: 'injected' });
  };
  return () => failures;
}

it('fails to open where the end of a truncated file cannot be read, and shows nothing of it later', () => {
  const device = cutTruncation(bytes, SIZE);
  const failures = failing(device);
  const before = device.clone();
  for (let attempt = 0; attempt < 2; attempt++) {
    const error = failureOf(() => inMemory(device));
    expect(error).toMatchObject({ code: 'EIO', syscall: 'open' });
    expect(error!.message).toMatch(/the end of inode \d+, whose truncation a crash cut short/);
  }
  expect(failures()).toBe(2);
  // Nothing is lost meanwhile, and it can still be read.
  expect(checkDevice(before).errors).toEqual([]);
  const reader = inMemory(device, { readOnly: true });
  expect(reader.store.stat('file').size).toBe(SIZE);

  device.onRead = undefined;
  const { store, finish } = inMemory(device);
  const file = store.open('file', 'r+');
  file.truncate(2 * BLOCK);
  const read = new Uint8Array(2 * BLOCK);
  expect(file.read(read, 0, read.length, 0)).toMatchObject({ bytesRead: read.length });
  expect(Buffer.compare(read.subarray(0, SIZE), bytes.subarray(0, SIZE))).toBe(0);
  expect(Buffer.compare(read.subarray(SIZE), new Uint8Array(2 * BLOCK - SIZE))).toBe(0);
  file.close();
  expect(finish().errors).toEqual([]);
});

it('opens after a repair, if the block can never be read again', () => {
  const device = cutTruncation(bytes, SIZE);
  failing(device);
  expect(checkDevice(device, { repair: true }).clean).toBe(true);
  const { store, finish } = inMemory(device);
  expect(store.stat('file').size).toBe(SIZE);
  const file = store.open('file');
  expect(failureOf(() => file.read(new Uint8Array(BLOCK), 0, BLOCK, BLOCK))).toMatchObject({ code: 'EIO' });
  file.close();
  expect(finish().errors).toEqual([]);
});
