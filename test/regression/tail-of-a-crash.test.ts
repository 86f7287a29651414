/**
 * A process was killed in a truncation, after the new size was durable and before the rest of the last block was zeros on
 * the device. The next one to open the store appended to the file, made it longer yet, committed, and was killed before
 * the appended bytes were written: now the longer file showed what the first truncation had cut off, since nobody had
 * made the zeros that every growth relies on. Found by the kill test, two processes apart.
 */
import { expect, it } from 'vitest';
import type { MemoryDevice } from '#dist/src/device/memory-device.js';
import { mendTail } from '#dist/src/file/edge.js';
import { truncate } from '#dist/src/file/truncate.js';
import { FileWorld, pattern, step } from '../support/file-world.js';

const BLOCK = 4096;
const SIZE = 5000;

it('shows nothing that a truncation cut off, which the first of two crashes cut short', () => {
  const first = new FileWorld();
  const slot = first.create('file');
  first.write(slot, pattern(1, 2 * BLOCK), 0);
  first.sync();
  const other = first.attach();
  const truncation = truncate(first.task, first.engine, slot, SIZE);
  expect(step(first.task, truncation, 'truncate:sized')).toEqual({ at: 'point' });
  first.runAs(other, other.engine.journal.commit(other.task));

  const second = new FileWorld({}, first.device.clone() as MemoryDevice);
  const { task, engine } = second;
  expect(second.run(engine.inodes.finishOrphans(task, (orphan) => mendTail(task, engine, orphan)))).toBe(1);
  const found = second.create('file');
  expect(second.sizeOf(found)).toBe(SIZE);
  second.write(found, pattern(2, 2 * BLOCK), SIZE);
  second.run(truncate(task, engine, found, 10 * BLOCK));
  second.run(engine.journal.commit(task));

  const third = new FileWorld({}, second.device.clone() as MemoryDevice);
  const tail = third.read(third.create('file'), SIZE, 2 * BLOCK - SIZE);
  expect(Buffer.compare(tail, new Uint8Array(tail.length))).toBe(0);
});
