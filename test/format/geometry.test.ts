import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bitmapBlock,
  fixedBlocksOf,
  type Geometry,
  geometryFor,
  groupLength,
  groupOf,
  groupStart,
  initialFreeBlocks,
  isFixedBlock,
  MIN_STORE_BLOCKS,
  maxBlocksPerGroup,
  maxDeviceBytes,
  superblockCopyBlock,
  validateGeometry,
} from '#dist/src/format/geometry.js';

const TIB = 2 ** 40;
const blockBytes = fc.constantFrom(4096, 8192, 16384, 32768, 65536);

const anyGeometry: fc.Arbitrary<Geometry> = fc
  .tuple(fc.integer({ min: 64 * 65536, max: 64 * TIB }), blockBytes)
  .map(([sizeBytes, bytes]) => geometryFor(sizeBytes, bytes)!);

describe('geometry', () => {
  it('is valid for every size of device, and uses all of it but a small rest', () => {
    fc.assert(
      fc.property(fc.integer({ min: 64 * 65536, max: 16 * TIB - 65536 * 2 }), blockBytes, (sizeBytes, bytes) => {
        const g = geometryFor(sizeBytes, bytes)!;
        expect(validateGeometry(g)).toBeNull();
        expect(sizeBytes - g.blocks * bytes).toBeLessThan(bytes * 16);
      }),
    );
  });

  it('is none where the device is too small', () => {
    expect(geometryFor(MIN_STORE_BLOCKS * 4096 - 1, 4096)).toBeNull();
    expect(geometryFor(0, 4096)).toBeNull();
    expect(geometryFor(MIN_STORE_BLOCKS * 4096, 4096)).toMatchObject({ blocks: MIN_STORE_BLOCKS, groups: 1 });
  });

  it('leaves unused what 32-bit block numbers do not reach', () => {
    const g = geometryFor(17 * TIB, 4096)!;
    expect(g.blocks).toBeLessThan(2 ** 32 - 1);
    expect(g.blocks * 4096).toBeGreaterThan(maxDeviceBytes(4096) - 16 * 4096);
  });

  it('leaves a last group unused that would hold little but its bitmap', () => {
    const perGroup = maxBlocksPerGroup(4096);
    expect(geometryFor((perGroup + 15) * 4096, 4096)).toMatchObject({ blocks: perGroup, groups: 1 });
    expect(geometryFor((perGroup + 16) * 4096, 4096)).toMatchObject({ blocks: perGroup + 16, groups: 2 });
  });

  it('divides the blocks among the groups', () => {
    fc.assert(
      fc.property(anyGeometry, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (g, where) => {
        const block = Math.floor(where * g.blocks);
        const group = groupOf(g, block);
        expect(block - groupStart(g, group)).toBeGreaterThanOrEqual(0);
        expect(block - groupStart(g, group)).toBeLessThan(groupLength(g, group));
        expect(groupOf(g, bitmapBlock(g, group))).toBe(group);
        expect(isFixedBlock(g, bitmapBlock(g, group))).toBe(true);
      }),
    );
  });

  it('counts the fixed blocks as they are', () => {
    const g = geometryFor(5000 * 4096, 4096, 1024)!;
    expect(g.groups).toBe(5);
    let fixed = 0;
    for (let group = 0; group < g.groups; group++) {
      let inGroup = 0;
      for (let i = 0; i < groupLength(g, group); i++) if (isFixedBlock(g, groupStart(g, group) + i)) inGroup += 1;
      expect(inGroup).toBe(fixedBlocksOf(g, group));
      fixed += inGroup;
    }
    expect(initialFreeBlocks(g)).toBe(g.blocks - fixed);
    expect(isFixedBlock(g, superblockCopyBlock(g))).toBe(true);
    expect(isFixedBlock(g, g.journalStart + g.journalBlocks)).toBe(false);
  });
});
