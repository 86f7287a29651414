/**
 * A transaction that maps blocks just written is flushed before it goes to the log. Whether it does was one word, the number of
 * the last transaction that orders data, and a commit looked at it after it had let the next transaction's handles go on. When
 * one of these ordered data too, the word named the next transaction, the commit spared the flush, and after a power cut the
 * file showed what had lain in its blocks before. Found by the power-cut machine, with four threads.
 */
import { expect, it } from 'vitest';
import { write } from '#dist/src/file/write.js';
import { readSuperblock, SUPERBLOCK_BYTES } from '#dist/src/format/superblock.js';
import { runBlocking } from '#dist/src/routine/blocking-driver.js';
import { MAX_FILE_PAGES } from '#dist/src/units.js';
import { FileWorld, pattern, step } from '../support/file-world.js';

it('flushes data before the log although the next transaction orders data as well', () => {
  const world = new FileWorld();
  const { device, engine, task, blockBytes } = world;
  const [first, second] = [world.create('first'), world.create('second')];
  world.sync();
  const bytes = new Uint8Array(SUPERBLOCK_BYTES);
  device.read([bytes], 0);
  const { journalStart, journalBlocks } = readSuperblock(new DataView(bytes.buffer));
  const events: string[] = [];
  device.onWrite = (positionBytes) => {
    const block = positionBytes / blockBytes;
    events.push(block >= journalStart && block < journalStart + journalBlocks ? 'log' : 'data');
    return undefined;
  };
  device.onFlush = () => events.push('flush');

  world.write(first, pattern(1, blockBytes), 0);
  world.run(engine.cache.writeRange(task, first, 0, MAX_FILE_PAGES, { wait: true }));
  const commit = engine.journal.commit(task);
  expect(step(task, commit, 'journal:snapshot')).toEqual({ at: 'point' });
  const other = world.attach();
  runBlocking(other.task, write(other.task, other.engine, second, pattern(2, blockBytes), 0, blockBytes, 0));
  runBlocking(other.task, other.engine.cache.writeRange(other.task, second, 0, MAX_FILE_PAGES, { wait: true }));
  expect(step(task, commit)).toMatchObject({ at: 'end' });
  expect(events).toEqual(['data', 'data', 'flush', 'log', 'flush']);
});
