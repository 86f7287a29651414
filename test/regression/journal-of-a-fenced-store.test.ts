/**
 * The background thread's commit met a lock that a dead thread had held, which stopped the journal. A thread whose sync had
 * begun before the store was fenced came to the stopped journal then, and was told of an I/O error that had never been.
 */
import { expect, it } from 'vitest';
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import { StoreError } from '#dist/src/errors.js';
import { runBlocking } from '#dist/src/routine/blocking-driver.js';
import { Header, StoreState } from '#dist/src/sync/layout.js';
import { inMemory } from '../support/in-memory.js';

const BLOCK = 4096;

it('who comes to a journal that a death stopped is told of the death', () => {
  const device = new MemoryDevice(1024 * BLOCK);
  const { store, session } = inMemory(device, { format: true });
  const file = store.open('a', 'w+');
  file.write(new Uint8Array(BLOCK), 0, BLOCK, 0);
  device.onFlush = () => {
    Atomics.store(session.arena.words, Header.State, StoreState.Fenced);
    throw new StoreError('EOWNERDEAD');
  };
  expect(() => file.sync()).toThrow(/EOWNERDEAD/);
  device.onFlush = undefined;
  // As a caller that has looked at the store's state before.
  const { task, journal } = session;
  expect(() => runBlocking(task, journal.commit(task))).toThrow(/ENOTRECOVERABLE/);
});
