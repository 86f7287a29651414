/**
 * When a flush had failed and the journal had stopped, a punch still zeroed the edges of its range and dropped its pages, and
 * only then met the error: what had been written and not synced was gone for the session too. A write was taken that
 * nothing could ever make durable.
 */
import { expect, it } from 'vitest';
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import { StoreError } from '#dist/src/errors.js';
import { expectBytes, pattern } from '../support/bytes.js';
import { inMemory } from '../support/in-memory.js';

const BLOCK = 4096;

it('a change after the journal has stopped is refused, and changes nothing that can be read', () => {
  const device = new MemoryDevice(1024 * BLOCK);
  const { store } = inMemory(device, { format: true });
  const file = store.open('a', 'w+');
  file.write(pattern(8 * BLOCK, 1), 0, 8 * BLOCK, 0);
  file.sync();
  const content = pattern(8 * BLOCK, 2);
  file.write(content, 0, content.length, 0);
  device.onFlush = () => {
    throw new StoreError('EIO');
  };
  expect(() => file.sync()).toThrow(/EIO/);
  device.onFlush = undefined;

  const bytes = new Uint8Array(8 * BLOCK);
  const changes = [
    () => file.punchHole(100, 3 * BLOCK),
    () => file.zeroRange(100, 3 * BLOCK),
    () => file.collapseRange(0, BLOCK),
    () => file.insertRange(0, BLOCK),
    () => file.truncate(BLOCK + 7),
    () => file.truncate(20 * BLOCK),
    () => file.write(bytes, 0, 3 * BLOCK, 30 * BLOCK),
    () => file.pin(0, { write: true }),
    () => store.open('b', 'w+'),
    () => store.rename('a', 'c'),
    () => store.unlink('a'),
    () => file.sync(),
    () => file.datasync(),
  ];
  for (const change of changes) {
    expect(change, String(change)).toThrow(/EIO/);
    expect(file.stat().size).toBe(content.length);
    expect(file.read(bytes, 0, bytes.length, 0).bytesRead).toBe(bytes.length);
    expectBytes(bytes, content);
  }
});
