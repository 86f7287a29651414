/**
 * Operations that met a block that cannot be read after they had begun: `rename` left the file with both names, `punchHole`
 * and `truncate` took away what lay before the block. They find out first now, or take back what they did.
 */
import { beforeEach, describe, expect, it } from 'vitest';
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import { StoreError } from '#dist/src/errors.js';
import { BlockKind, verifyBlock } from '#dist/src/format/block-header.js';
import { nameNodeCount, nameNodeLevel } from '#dist/src/format/name-node.js';
import { expectBytes, pattern } from '../support/bytes.js';
import { type InMemory, inMemory } from '../support/in-memory.js';

const BLOCK = 4096;
const BLOCKS = 2048;

describe('an unreadable block', () => {
  let device: MemoryDevice;
  let mounted: InMemory;

  beforeEach(() => {
    device = new MemoryDevice(BLOCKS * BLOCK);
    mounted = inMemory(device, { format: true });
  });

  /** Starts anew with an empty cache, everything in its place, and fails reads of the blocks. */
  function reopen(choose: () => number[]): void {
    mounted.unmount();
    device = device.clone();
    const unreadable = choose();
    device.onRead = (position, length) => {
      const isHit = unreadable.some((block) => block * BLOCK >= position && block * BLOCK < position + length);
      if (isHit) throw new StoreError('EIO', { syscall: 'read' });
      return undefined;
    };
    mounted = inMemory(device);
  }

  function blocksOf(kind: BlockKind, matches: (bytes: Uint8Array) => boolean): number[] {
    const found: number[] = [];
    for (let block = 1; block < BLOCKS - 1; block++) {
      const bytes = new Uint8Array(BLOCK);
      device.read([bytes], block * BLOCK);
      if (verifyBlock(bytes, block, kind) === null && matches(bytes)) found.push(block);
    }
    return found;
  }

  it('beside the leaf of the old name: a rename changes nothing', () => {
    const nameOf = (i: number): string => `${String(i).padStart(2, '0')}${'-'.repeat(250)}`;
    for (let i = 1; i <= 31; i++) mounted.store.open(nameOf(i), 'w').close();
    const last = nameOf(31);
    const middleLeaf = (): number[] => {
      const leaves = blocksOf(BlockKind.NameNode, (bytes) => nameNodeLevel(bytes, 0) === 0);
      const counts = leaves.map((block) => {
        const bytes = new Uint8Array(BLOCK);
        device.read([bytes], block * BLOCK);
        return nameNodeCount(bytes, 0);
      });
      // Names that come in order fill their leaves: the last one is alone, and the middle leaf is on nobody's way.
      expect(counts).toEqual([15, 15, 1]);
      return [leaves[1]];
    };
    for (const to of ['00', nameOf(3)]) {
      reopen(middleLeaf);
      const ino = mounted.store.stat(nameOf(3)).ino;
      expect(() => mounted.store.rename(last, to)).toThrow(expect.objectContaining({ code: 'EIO' }));
      expect(mounted.store.exists(last)).toBe(true);
      if (to === '00') expect(mounted.store.exists(to)).toBe(false);
      else expect(mounted.store.stat(to).ino).toBe(ino);
      expect(mounted.store.statfs().files).toBe(31);
      device.onRead = undefined;
    }
    expect(mounted.finish()).toMatchObject({ clean: true });
  });

  it.each(['punchHole', 'truncate', 'collapseRange'] as const)('among the extents: %s changes nothing', (operation) => {
    const file = mounted.store.open('sparse', 'w+');
    const bytes = new Uint8Array(1000 * BLOCK);
    for (let page = 0; page < 1000; page += 2) {
      const content = pattern(BLOCK, page + 1);
      file.write(content, 0, BLOCK, page * BLOCK);
      bytes.set(content, page * BLOCK);
    }
    file.truncate(bytes.length);
    file.close();
    reopen(() => {
      const leaves = blocksOf(BlockKind.ExtentNode, () => true);
      expect(leaves.length).toBeGreaterThan(1);
      return [leaves[1]];
    });
    const again = mounted.store.open('sparse', 'r+');
    const act = {
      punchHole: () => again.punchHole(0, 1000 * BLOCK),
      truncate: () => again.truncate(10 * BLOCK),
      collapseRange: () => again.collapseRange(0, 990 * BLOCK),
    };
    expect(act[operation]).toThrow(expect.objectContaining({ code: 'EIO' }));
    device.onRead = undefined;
    expect(again.stat().size).toBe(bytes.length);
    const found = new Uint8Array(bytes.length);
    expect(again.read(found, 0, found.length, 0).bytesRead).toBe(bytes.length);
    expectBytes(found, bytes);
    again.close();
    expect(mounted.finish()).toMatchObject({ clean: true });
  });
});
