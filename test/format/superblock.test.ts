import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { geometryFor } from '#dist/src/format/geometry.js';
import {
  DiskState,
  hasSuperblockMagic,
  MAX_LABEL_BYTES,
  mustOpenReadOnly,
  readSuperblock,
  SUPERBLOCK_BYTES,
  type Superblock,
  sealSuperblock,
  validateSuperblock,
  verifySuperblock,
  writeSuperblock,
} from '#dist/src/format/superblock.js';

const DEVICE_BYTES = 256 * 1024 * 1024;

function sample(changes: Partial<Superblock> = {}): Superblock {
  return {
    ...geometryFor(DEVICE_BYTES, 4096)!,
    versionMajor: 2,
    versionMinor: 0,
    incompatible: 0,
    readOnlyCompatible: 0,
    compatible: 0,
    state: DiskState.Clean,
    uuid: Uint8Array.from({ length: 16 }, (_, i) => 200 + i),
    label: 'backup – Küche',
    groupsInitialised: 1,
    nameRoot: 5000,
    inodeHighWater: 17,
    inodeFreeHead: 0,
    orphanHead: 0,
    files: 0,
    blocksFree: 40000,
    mounts: 1,
    createdMs: 1.7e12 + 0.25,
    transaction: 2 ** 40 + 5,
    nextGeneration: 1,
    writtenMs: 0,
    ...changes,
  };
}

function encode(s: Superblock, block = 0): Uint8Array {
  const bytes = new Uint8Array(new SharedArrayBuffer(8192));
  bytes.fill(0xee, SUPERBLOCK_BYTES);
  writeSuperblock(new DataView(bytes.buffer), 0, s);
  sealSuperblock(bytes, block, s.transaction, s.writtenMs);
  return bytes;
}

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const label = fc
  .string({ unit: 'grapheme', maxLength: 20 })
  .filter((text) => !text.includes('\0') && Buffer.byteLength(text) <= MAX_LABEL_BYTES)
  // A lone surrogate has no UTF-8; it would come back as U+FFFD.
  .map((text) => Buffer.from(text).toString('utf8'));

const anySuperblock: fc.Arbitrary<Superblock> = fc
  .record({
    versionMajor: fc.integer({ min: 0, max: 0xffff }),
    versionMinor: fc.integer({ min: 0, max: 0xffff }),
    incompatible: u32,
    readOnlyCompatible: u32,
    compatible: u32,
    state: fc.constantFrom(DiskState.Clean, DiskState.Open, DiskState.Error),
    uuid: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    label,
    blockBytes: u32,
    blocks: u32,
    blocksPerGroup: u32,
    groups: u32,
    groupsInitialised: u32,
    journalStart: u32,
    journalBlocks: u32,
    nameRoot: u32,
    inodeHighWater: u32,
    inodeFreeHead: u32,
    orphanHead: u32,
    files: u32,
    blocksFree: u32,
    mounts: u32,
    createdMs: fc.double({ noNaN: true }),
    transaction: fc.maxSafeNat(),
    nextGeneration: u32,
    writtenMs: fc.double({ noNaN: true }),
  })
  // A view of one of the feature bits.
  .map((s) => ({ ...s, dataChecksums: (s.incompatible & 1) !== 0 }));

describe('superblock', () => {
  it('comes back as it was written, whatever its fields', () => {
    fc.assert(
      fc.property(anySuperblock, (s) => {
        const bytes = encode(s);
        expect(readSuperblock(new DataView(bytes.buffer))).toEqual(s);
        expect(verifySuperblock(bytes, 0)).toBeNull();
      }),
    );
  });

  it('leaves the rest of a larger block alone, and the record of the inode table', () => {
    const bytes = new Uint8Array(8192).fill(0xee);
    writeSuperblock(new DataView(bytes.buffer), 0, sample());
    sealSuperblock(bytes, 0, 1, 2);
    expect(bytes.subarray(256, 8192).every((byte) => byte === 0xee)).toBe(true);
  });

  it('knows which copy it is', () => {
    const bytes = encode(sample(), 65535);
    expect(verifySuperblock(bytes, 65535)).toBeNull();
    expect(verifySuperblock(bytes, 0)).toBe('belongs to block 65535');
  });

  it('catches every flipped bit', () => {
    const bytes = encode(sample());
    for (let bit = 0; bit < SUPERBLOCK_BYTES * 8; bit++) {
      const mask = 1 << (bit & 7);
      bytes[bit >> 3]! ^= mask;
      if (verifySuperblock(bytes, 0) === null) expect.fail(`bit ${bit} flipped unnoticed`);
      bytes[bit >> 3]! ^= mask;
    }
    expect(verifySuperblock(bytes, 0)).toBeNull();
  });

  it('is not found in other content', () => {
    expect(hasSuperblockMagic(new Uint8Array(4096))).toBe(false);
    expect(hasSuperblockMagic(new Uint8Array(3))).toBe(false);
    expect(verifySuperblock(new Uint8Array(4096), 0)).toBe('no superblock magic');
    expect(verifySuperblock(new Uint8Array(100), 0)).toBe('only 100 bytes');
  });

  it('is accepted when it describes a store on this device', () => {
    expect(validateSuperblock(sample(), DEVICE_BYTES)).toBeNull();
    expect(mustOpenReadOnly(sample())).toBe(false);
    expect(mustOpenReadOnly(sample({ readOnlyCompatible: 8 }))).toBe(true);
  });

  it.each<[string, Partial<Superblock>, RegExp]>([
    ['a newer version', { versionMajor: 3 }, /version 3\.0, newer than 2\.0/],
    ['an older version', { versionMajor: 1 }, /version 1\.0, older than 2\.0/],
    ['an unknown feature', { incompatible: 0x8000_0000 }, /features 0x80000000/],
    ['an odd block size', { blockBytes: 4097 }, /block size 4097/],
    ['a block size out of range', { blockBytes: 2048 }, /block size 2048/],
    ['more blocks than the device', { blocks: 65537 + 32, groups: 3 }, /the device has/],
    ['too few blocks', { blocks: 3 }, /3 blocks/],
    ['a wrong number of groups', { groups: 9 }, /9 groups/],
    ['groups that a bitmap cannot cover', { blocksPerGroup: 32544 }, /32544 blocks per group/],
    ['a journal over the superblock', { journalStart: 0 }, /journal/],
    ['a journal past its group', { journalBlocks: 40000 }, /journal/],
    ['an unknown state', { state: 3 as DiskState }, /state 3/],
    ['no initialised group', { groupsInitialised: 0 }, /0 initialised groups/],
    ['no name tree', { nameRoot: 0 }, /name tree/],
    ['a name tree outside', { nameRoot: 0xffff_ffff }, /name tree/],
    ['no inodes', { inodeHighWater: 0 }, /high-water/],
    ['an inode list outside', { orphanHead: 17 }, /inode list/],
    ['more free blocks than blocks', { blocksFree: 65537 }, /free/],
  ])('is refused with %s', (_what, changes, reason) => {
    expect(validateSuperblock(sample(changes), DEVICE_BYTES)).toMatch(reason);
  });
});
