/**
 * A fuzzed image had unfinished work in the record of an inode that was not on the orphan list. The checker called it
 * clean. A later punch of that file took the stray entry for one of its own: it did not take the reference that recorded work
 * holds, gave it back at its end, and the next close met a file without references. The list lost its head besides.
 */
import { describe, expect, it } from 'vitest';
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import { BlockKind, sealBlock, verifyBlock } from '#dist/src/format/block-header.js';
import { InodeAt, inodeRecordOffset, inodesPerBlock, storeWork, WorkKind } from '#dist/src/format/inode-record.js';
import { checkDevice } from '#dist/src/store/check.js';
import { expectBytes, pattern } from '../support/bytes.js';
import { inMemory } from '../support/in-memory.js';

const BLOCK = 4096;
const BLOCKS = 1024;

/** A store with the file 'a' of 200 scattered pages, whose record holds work that nobody left there. */
function withStrayWork(kind: number): MemoryDevice {
  const device = new MemoryDevice(BLOCKS * BLOCK);
  const mounted = inMemory(device, { format: true });
  const file = mounted.store.open('a', 'w+');
  for (let page = 0; page < 200; page += 2) file.write(pattern(BLOCK, page), 0, BLOCK, page * BLOCK);
  const { ino } = file.stat();
  file.close();
  mounted.unmount();
  const bytes = new Uint8Array(BLOCK);
  const block = Array.from({ length: BLOCKS }, (_, i) => i).find((i) => {
    device.read([bytes], i * BLOCK);
    return verifyBlock(bytes, i, BlockKind.Inodes) === null;
  })!;
  const view = new DataView(bytes.buffer);
  const at = inodeRecordOffset(ino, inodesPerBlock(BLOCK));
  expect(view.getUint32(at + InodeAt.Ino, true)).toBe(ino);
  storeWork(view, at, 0, { kind, first: 4, end: 6, resume: 0 });
  sealBlock(bytes, block, 1);
  device.write([bytes], block * BLOCK);
  return device;
}

describe('work in a record that nobody left there', () => {
  it('is not done, and harms no work that follows', () => {
    const mounted = inMemory(withStrayWork(WorkKind.Remove));
    const file = mounted.store.open('a', 'r+');
    for (let i = 0; i < 3; i++) file.collapseRange(0, 2 * BLOCK);
    file.punchHole(100 * BLOCK, 50 * BLOCK);
    const bytes = new Uint8Array(BLOCK);
    file.read(bytes, 0, BLOCK, 0);
    expectBytes(bytes, pattern(BLOCK, 6));
    file.close();
    expect(mounted.finish()).toMatchObject({ clean: true });
  });

  for (const kind of [WorkKind.Remove, WorkKind.Collapse, 77]) {
    it(`of kind ${kind} is found, and removed by a repair`, () => {
      const device = withStrayWork(kind);
      const { errors } = checkDevice(device);
      expect(errors).toEqual([
        expect.objectContaining({ code: 'INODE', message: expect.stringMatching(/unfinished work/) }),
      ]);
      const repaired = checkDevice(device, { repair: true });
      expect(repaired.clean).toBe(true);
      expect(repaired.repaired.join()).toMatch(/removed unfinished work/);
      expect(checkDevice(device)).toMatchObject({ clean: true, errors: [] });
      const mounted = inMemory(device);
      const file = mounted.store.open('a', 'r');
      const bytes = new Uint8Array(BLOCK);
      file.read(bytes, 0, BLOCK, 4 * BLOCK);
      expectBytes(bytes, pattern(BLOCK, 4));
      file.close();
      expect(mounted.finish()).toMatchObject({ clean: true });
    });
  }
});
