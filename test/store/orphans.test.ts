/** The orphan list of a store that is closed: closing leaves it clean or empty, the checker tells, a repair does the work. */
import { describe, expect, it } from 'vitest';
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import {
  DiskState,
  readSuperblock,
  SUPERBLOCK_BYTES,
  SuperblockAt,
  sealSuperblock,
} from '#dist/src/format/superblock.js';
import { Access } from '#dist/src/store/arguments.js';
import { checkDevice } from '#dist/src/store/check.js';
import { expectBytes, pattern } from '../support/bytes.js';
import { cutTruncation } from '../support/cut-truncation.js';
import { inMemory } from '../support/in-memory.js';
import { recoverInPlace } from '../support/recovered.js';

const BLOCK = 4096;
const BLOCKS = 1024;

function stateOf(device: MemoryDevice): DiskState {
  const bytes = new Uint8Array(SUPERBLOCK_BYTES);
  device.read([bytes], 0);
  return readSuperblock(new DataView(bytes.buffer)).state;
}

/** Says of a store that has been left open that it was closed. */
function markClosed(device: MemoryDevice): void {
  recoverInPlace(device);
  const bytes = new Uint8Array(SUPERBLOCK_BYTES);
  device.read([bytes], 0);
  const view = new DataView(bytes.buffer);
  view.setUint32(SuperblockAt.State, DiskState.Clean, true);
  const { transaction, blocks } = readSuperblock(view);
  for (const block of [0, blocks - 1]) {
    sealSuperblock(bytes, block, transaction, 0);
    device.write([bytes], block * BLOCK);
  }
}

/** A file that has lost its name, while somebody keeps a reference that nobody gives back: a thread that died asleep, say. */
function withDeleted(): { device: MemoryDevice; ino: number } {
  const device = new MemoryDevice(BLOCKS * BLOCK);
  const mounted = inMemory(device, { format: true });
  const { session, store } = mounted;
  for (const name of ['kept', 'gone']) {
    const file = store.open(name, 'w+');
    file.write(pattern(5 * BLOCK), 0, 5 * BLOCK, 0);
    file.close();
  }
  const { ino } = store.stat('gone');
  session.run('open', session.namespace.open(session.task, Buffer.from('gone'), Access.Read));
  store.unlink('gone');
  mounted.unmount();
  return { device, ino };
}

const WORKED = [expect.stringMatching(/orphan list of a store that was closed/)];
const DONE = ['did what was left to do on the orphan list', 'marked the store clean'];

describe('a deleted file that somebody had open to the end', () => {
  it('is freed by the next opening, and the store is not called clean before', () => {
    const { device } = withDeleted();
    expect(stateOf(device)).toBe(DiskState.Open);
    expect(checkDevice(device)).toMatchObject({ clean: true, counts: { files: 1, inodes: 2, dataBlocks: 10 } });
    expect(inMemory(device).finish()).toMatchObject({ clean: true, counts: { files: 1, inodes: 1, dataBlocks: 5 } });
    expect(stateOf(device)).toBe(DiskState.Clean);
  });

  it('is damage in a store that says that it was closed, and freed by a repair', () => {
    const { device, ino } = withDeleted();
    markClosed(device);
    const report = checkDevice(device);
    expect(report).toMatchObject({ clean: false, errors: [{ code: 'ORPHAN_LIST', ino }] });
    const repaired = checkDevice(device, { repair: true });
    expect(repaired).toMatchObject({ clean: true, counts: { files: 1, inodes: 1, dataBlocks: 5 } });
    expect(repaired.repaired).toEqual([expect.stringMatching(/^found: inode/), ...DONE]);
    expect(stateOf(device)).toBe(DiskState.Clean);
  });
});

describe('a truncation cut short', () => {
  const SIZE = 3 * BLOCK + 1000;
  const bytes = pattern(17 * BLOCK);

  for (const isClosed of [false, true]) {
    it(`is finished by a repair of a store that was ${isClosed ? '' : 'not '}closed`, () => {
      const device = cutTruncation(bytes, SIZE);
      if (isClosed) markClosed(device);
      const found = checkDevice(device);
      expect(found.clean).toBe(!isClosed);
      expect(found.errors.map(({ message }) => message)).toEqual(isClosed ? WORKED : []);
      expect(found.counts!.dataBlocks).toBe(17);
      const repaired = checkDevice(device, { repair: true });
      expect(repaired).toMatchObject({ clean: true, counts: { dataBlocks: 4 } });
      expect(repaired.repaired.slice(-2)).toEqual(DONE);
      const mounted = inMemory(device);
      const file = mounted.store.open('file', 'r+');
      file.truncate(17 * BLOCK);
      const expected = new Uint8Array(17 * BLOCK);
      expected.set(bytes.subarray(0, SIZE));
      expectBytes(file.readFile() as Uint8Array, expected);
      file.close();
      expect(mounted.finish()).toMatchObject({ clean: true });
    });
  }
});
