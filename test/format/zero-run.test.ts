import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { BlockKind, HeaderAt, sealBlock, writeHeader } from '#dist/src/format/block-header.js';
import { imageChecksum, sealedImageChecksum } from '#dist/src/format/journal-record.js';
import { SUPERBLOCK_BYTES, SuperblockAt, sealSuperblock } from '#dist/src/format/superblock.js';
import { zeroRun } from '#dist/src/format/zero-run.js';

function sample(lengthBytes: number, salt: number): Uint8Array {
  const bytes = new Uint8Array(new SharedArrayBuffer(lengthBytes));
  for (let i = 0; i < lengthBytes; i++) bytes[i] = Math.imul(i + salt, 0x9e37_79b1) >>> 24;
  return bytes;
}

const SEEDS = [0, 1, 0x8000_0000, 0xffff_ffff, 0x1234_5678];

describe('a CRC-32 over zeros that are not read', () => {
  it.each([1, 3, 64, 4096, 65_408])('is what it is when %i of them are', (zeros) => {
    for (const seed of SEEDS) {
      const bytes = sample(200 + zeros, seed);
      bytes.fill(0, 200);
      expect(zeroRun(zeros).checksum(crc32(bytes.subarray(0, 200), seed))).toBe(crc32(bytes, seed));
    }
  });

  it.each([4096, 65536])('gives the checksum of a sealed block of %i bytes from any seed', (blockBytes) => {
    for (const seed of SEEDS) {
      const bytes = sample(blockBytes, seed);
      writeHeader(new DataView(bytes.buffer), 0, BlockKind.NameNode, 9, 0);
      const seal = sealBlock(bytes, 9, 17);
      expect(sealedImageChecksum(bytes, seal, HeaderAt.Checksum, seed)).toBe(imageChecksum(bytes, seed));
    }
  });

  it('gives that of a superblock too', () => {
    for (const seed of SEEDS) {
      const bytes = sample(SUPERBLOCK_BYTES, seed);
      const seal = sealSuperblock(bytes, 0, 17, 5);
      expect(sealedImageChecksum(bytes, seal, SuperblockAt.Checksum, seed)).toBe(imageChecksum(bytes, seed));
    }
  });
});
