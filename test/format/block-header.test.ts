import { describe, expect, it } from 'vitest';
import {
  BlockKind,
  headerGeneration,
  headerKind,
  headerOwner,
  kindName,
  sealBlock,
  verifyBlock,
  writeHeader,
} from '#dist/src/format/block-header.js';

/** A sealed block in shared memory, as the cache holds it, with some content. */
function sampleBlock(blockBytes: number): Uint8Array {
  const bytes = new Uint8Array(new SharedArrayBuffer(blockBytes));
  for (let i = 0; i < blockBytes; i++) bytes[i] = (i * 31) & 0xff;
  writeHeader(new DataView(bytes.buffer), 0, BlockKind.ExtentNode, 77, 12, 3);
  sealBlock(bytes, 77, 0x1_2345_6789);
  return bytes;
}

describe('block header', () => {
  it('says what the block is', () => {
    const view = new DataView(sampleBlock(4096).buffer);
    expect(headerKind(view, 0)).toBe(BlockKind.ExtentNode);
    expect(headerOwner(view, 0)).toBe(12);
    expect(headerGeneration(view, 0)).toBe(3);
    expect(view.getUint32(12, true)).toBe(0x2345_6789);
  });

  it('spells its kind in letters', () => {
    const bytes = sampleBlock(4096);
    expect(Buffer.from(bytes.subarray(0, 4)).toString('latin1')).toBe('EMEX');
    expect(kindName(BlockKind.ExtentNode)).toBe('extent node');
    expect(kindName(1)).toBe('block of unknown kind');
  });

  it.each([4096, 65536])('accepts a sealed block of %i bytes and leaves it as it is', (blockBytes) => {
    const bytes = sampleBlock(blockBytes);
    const before = Buffer.from(bytes);
    expect(verifyBlock(bytes, 77)).toBeNull();
    expect(verifyBlock(bytes, 77, BlockKind.ExtentNode)).toBeNull();
    expect(before.equals(bytes)).toBe(true);
  });

  it('tells another place, another kind and no block at all', () => {
    const bytes = sampleBlock(4096);
    expect(verifyBlock(bytes, 78)).toBe('belongs to block 77');
    expect(verifyBlock(bytes, 77, BlockKind.Bitmap)).toBe('extent node where allocation bitmap was expected');
    expect(verifyBlock(new Uint8Array(4096), 77)).toBe('no known block kind (0x00000000)');
  });

  it('catches every flipped bit', () => {
    const bytes = sampleBlock(4096);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const mask = 1 << (bit & 7);
      bytes[bit >> 3]! ^= mask;
      if (verifyBlock(bytes, 77) === null) expect.fail(`bit ${bit} flipped unnoticed`);
      bytes[bit >> 3]! ^= mask;
    }
    expect(verifyBlock(bytes, 77)).toBeNull();
  });
});
