import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  clearInodeRecord,
  FIRST_FILE_INO,
  firstInodeOfPage,
  INODE_RECORD_BYTES,
  InodeRecord,
  inodeRecordOffset,
  inodesPerBlock,
  inodeTablePage,
  loadInodeRecord,
  rootCount,
  rootEntriesWord,
  rootLevel,
  setRoot,
  setTreeBlocks,
  storeInodeRecord,
  treeBlocks,
} from '#dist/src/format/inode-record.js';

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const time = fc.double({ noNaN: true });
const attributes: fc.Arbitrary<InodeRecord> = fc.record({
  ino: u32,
  generation: u32,
  flags: u32,
  links: u32,
  sizeBytes: fc.maxSafeNat(),
  blocks: u32,
  mtimeMs: time,
  ctimeMs: time,
  birthtimeMs: time,
  next: u32,
});

describe('inode record', () => {
  it('keeps attributes and the tree root apart, and stays within its bytes', () => {
    fc.assert(
      fc.property(attributes, u32, fc.integer({ min: 0, max: 0xffff }), (record, tree, level) => {
        const bytes = new Uint8Array(new SharedArrayBuffer(3 * INODE_RECORD_BYTES));
        const view = new DataView(bytes.buffer);
        const at = INODE_RECORD_BYTES;
        setRoot(view, at, level, 12);
        setTreeBlocks(view, at, tree);
        new Uint32Array(bytes.buffer).fill(0xabcd_ef01, rootEntriesWord(at), rootEntriesWord(at) + 36);
        storeInodeRecord(view, at, record);
        expect([rootLevel(view, at), rootCount(view, at), treeBlocks(view, at)]).toEqual([level, 12, tree]);
        expect(view.getUint32(at + 64, true)).toBe(0xabcd_ef01);
        const back = new InodeRecord();
        loadInodeRecord(view, at, back);
        expect({ ...back }).toEqual(record);
        const outside = [...bytes.subarray(0, at), ...bytes.subarray(at + 208)];
        expect(outside.every((byte) => byte === 0)).toBe(true);
        clearInodeRecord(view, at);
        expect(bytes.every((byte) => byte === 0)).toBe(true);
      }),
    );
  });

  it.each([4096, 8192, 65536])('has a place of its own for every inode, at %i bytes a block', (blockBytes) => {
    const perBlock = inodesPerBlock(blockBytes);
    const places = new Set<number>();
    for (let ino = FIRST_FILE_INO; ino < FIRST_FILE_INO + 4 * perBlock; ino++) {
      const page = inodeTablePage(ino, perBlock);
      const offset = inodeRecordOffset(ino, perBlock);
      expect(offset % 32).toBe(0);
      expect(offset).toBeGreaterThanOrEqual(32);
      expect(offset + INODE_RECORD_BYTES).toBeLessThanOrEqual(blockBytes);
      expect(ino - firstInodeOfPage(page, perBlock)).toBeLessThan(perBlock);
      places.add(page * blockBytes + offset);
    }
    expect(places.size).toBe(4 * perBlock);
    expect(inodeTablePage(FIRST_FILE_INO, perBlock)).toBe(0);
  });

  it('finds the record of the last inode number', () => {
    expect(inodeTablePage(0xffff_ffff, 15)).toBe(286331152);
    expect(inodeRecordOffset(0xffff_ffff, 15)).toBe(32 + 13 * 256);
  });
});
