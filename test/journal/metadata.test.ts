/** The metadata mapping: what it hands out is what belongs there, or an error that names the structure and the block. */
import { beforeEach, describe, expect, test } from 'vitest';
import { MemoryDevice } from '#dist/src/device/memory-device.js';
import { BlockKind } from '#dist/src/format/block-header.js';
import { SUPERBLOCK_KIND } from '#dist/src/journal/metadata.js';
import { Page } from '#dist/src/sync/layout.js';
import { type AllocWorld, BLOCK_BYTES, formatForTest, makeAllocWorld, readBlock } from '../support/alloc-world.js';

let device: MemoryDevice;
let world: AllocWorld;
let block: number;

beforeEach(() => {
  device = new MemoryDevice(1024 * BLOCK_BYTES);
  formatForTest(device, 512);
  world = makeAllocWorld(device);
  block = world.inHandle(4, function* () {
    const added = yield* world.allocator.allocateMetadata(world.task, 0);
    world.metadata.put(yield* world.metadata.create(world.task, added, BlockKind.Inodes, 3));
    return added;
  });
  world.run(world.journal.commit(world.task));
  // A cold cache.
  world = makeAllocWorld(device);
});

const get = (number: number, kind: BlockKind): number => world.run(world.metadata.get(world.task, number, kind));

function flip(number: number, byte: number): void {
  const bytes = readBlock(device, number);
  bytes[byte] ^= 0x10;
  device.write([bytes], number * BLOCK_BYTES);
}

describe('get', () => {
  test('reads a block once, and tryGet finds it afterwards', () => {
    expect(world.metadata.tryGet(world.task, block, BlockKind.Inodes)).toBe(0);
    const frame = get(block, BlockKind.Inodes);
    device.onRead = () => {
      throw new Error('read again');
    };
    expect(get(block, BlockKind.Inodes)).toBe(frame);
    expect(world.metadata.tryGet(world.task, block, BlockKind.Inodes)).toBe(frame);
    const pins = world.arena.words[world.arena.layout.pageRecords + frame * Page.Words + Page.State] >> 12;
    expect(pins).toBe(3);
  });

  test.each([
    ['a flipped bit in the body', 200, /EUCLEAN.*inode block at block \d+: checksum/],
    ['a flipped bit in the kind', 1, /EUCLEAN.*inode block at block \d+: no known block kind/],
    ['a flipped bit in the block number', 8, /EUCLEAN.*inode block at block \d+/],
  ])('names structure and block of %s', (_name, byte, message) => {
    flip(block, byte);
    expect(() => get(block, BlockKind.Inodes)).toThrow(message);
    expect(() => get(block, BlockKind.Inodes)).toThrow(new RegExp(`block ${block}`));
    flip(block, byte);
    expect(get(block, BlockKind.Inodes)).not.toBe(0);
  });

  test('refuses another kind, from the device and from the cache', () => {
    for (let i = 0; i < 2; i++) {
      expect(() => get(block, BlockKind.NameNode)).toThrow(/EUCLEAN.*name node at block \d+: inode block found/);
      expect(world.metadata.tryGet(world.task, block, BlockKind.NameNode)).toBe(0);
    }
  });

  test('refuses a block that was copied elsewhere, and one past the end', () => {
    device.write([readBlock(device, block)], 700 * BLOCK_BYTES);
    expect(() => get(700, BlockKind.Inodes)).toThrow(/inode block at block 700: belongs to block/);
    expect(() => get(1024, BlockKind.Inodes)).toThrow(/inode block at block 1024: past the end/);
    expect(() => get(900, BlockKind.Bitmap)).toThrow(/allocation bitmap at block 900/);
  });

  test('reads the superblock as what it is', () => {
    expect(get(0, SUPERBLOCK_KIND)).toBe(world.journal.superblockFrame);
    expect(() => get(0, BlockKind.Bitmap)).toThrow(/allocation bitmap at block 0: superblock found/);
  });
});

describe('create and forget', () => {
  test('a block is born zeroed, whatever lay there', () => {
    device.write([new Uint8Array(BLOCK_BYTES).fill(0xee)], 800 * BLOCK_BYTES);
    world.inHandle(4, function* () {
      const frame = yield* world.metadata.create(world.task, 800, BlockKind.NameNode, 0);
      expect(world.frames.bytes(frame).subarray(32)).toEqual(new Uint8Array(BLOCK_BYTES - 32));
      world.metadata.put(frame);
    });
    expect(get(800, BlockKind.NameNode)).not.toBe(0);
  });

  test('a forgotten block keeps its content for who has it pinned, and is read anew', () => {
    const frame = get(block, BlockKind.Inodes);
    world.inHandle(1, function* () {
      world.frames.bytes(frame as never)[500] = 1;
      world.journal.dirty(world.task, frame as never);
      yield* world.metadata.forget(world.task, block);
    });
    expect(world.frames.bytes(frame as never)[500]).toBe(1);
    const again = get(block, BlockKind.Inodes);
    expect(again).not.toBe(frame);
    expect(world.frames.bytes(again as never)[500]).toBe(0);
    world.metadata.put(frame as never);
  });
});
