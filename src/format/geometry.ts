/**
 * Where things lie on a device: groups, their bitmaps, the journal, the two superblocks.
 *
 * Group g covers blocks [g × blocksPerGroup, min((g + 1) × blocksPerGroup, blocks)). Its bitmap is its first block, but
 * for group 0, whose first block is the superblock: there it is block 1. The journal follows in group 0. The device's
 * last block is a copy of the superblock. All of these are *fixed* blocks: in use from the start, owned by nobody.
 *
 * Pure arithmetic, no state.
 */
import { isPowerOfTwo, MAX_BLOCK_BYTES, MAX_BLOCKS, MIB, MIN_BLOCK_BYTES } from '../units.js';
import { HEADER_BYTES } from './block-header.js';

export interface Geometry {
  readonly blockBytes: number;
  /** Blocks of the store; the device may have a rest that is not used. */
  readonly blocks: number;
  readonly blocksPerGroup: number;
  readonly groups: number;
  readonly journalStart: number;
  readonly journalBlocks: number;
  /** Behind its other fixed blocks, each group has checksum blocks: a checksum for each of its blocks. */
  readonly dataChecksums: boolean;
}

const CHECKSUM_BYTES = 4;

export const SUPERBLOCK_BLOCK = 0;
/** Bitmap of group 0. */
export const FIRST_BITMAP_BLOCK = 1;
/** A last group with fewer blocks than this is left unused: it would hold little but its own bitmap. */
const SMALLEST_GROUP = 16;
/** Smaller stores are refused: nothing would be left beside the metadata. */
export const MIN_STORE_BLOCKS = 64;
/** By default a journal takes this part of the device, within bounds: the smaller one lets the largest handle fit. */
const JOURNAL_SHARE = 32;
const JOURNAL_BYTES_MAX = 64 * MIB;
const JOURNAL_BLOCKS_SMALL = 128;
/** The largest handle, a rename, fits a journal of so many blocks. */
const JOURNAL_BLOCKS_LEAST = 80;
/** On a device this small all other blocks fit a journal of half of it: no handle can need more. */
const JOURNAL_HALF_EXTRA = 4;
/** Any smaller one is none. */
export const JOURNAL_BLOCKS_MIN = 16;

/** Blocks of which one bitmap block tells. */
export function maxBlocksPerGroup(blockBytes: number): number {
  return (blockBytes - HEADER_BYTES) * 8;
}

/** Largest device, in bytes, that blocks of this size reach; what lies beyond is not used. */
export function maxDeviceBytes(blockBytes: number): number {
  return MAX_BLOCKS * blockBytes;
}

/** The geometry that a new store on a device of `sizeBytes` gets, or null when the device is too small. */
export function geometryFor(
  sizeBytes: number,
  blockBytes: number,
  blocksPerGroup = maxBlocksPerGroup(blockBytes),
  dataChecksums = false,
): Geometry | null {
  let blocks = Math.min(Math.floor(sizeBytes / blockBytes), MAX_BLOCKS);
  const rest = blocks % blocksPerGroup;
  if (blocks > blocksPerGroup && rest > 0 && rest < SMALLEST_GROUP) blocks -= rest;
  if (blocks < MIN_STORE_BLOCKS) return null;
  const journalBlocks = Math.min(
    Math.max(
      Math.min(JOURNAL_BLOCKS_SMALL, Math.ceil(blocks / 2) + JOURNAL_HALF_EXTRA),
      Math.floor(blocks / JOURNAL_SHARE),
    ),
    Math.max(JOURNAL_BLOCKS_SMALL, Math.floor(JOURNAL_BYTES_MAX / blockBytes)),
    Math.max(Math.floor(blocksPerGroup / 2) + JOURNAL_HALF_EXTRA, Math.min(blocksPerGroup - 32, JOURNAL_BLOCKS_SMALL)),
  );
  return {
    blockBytes,
    blocks,
    blocksPerGroup,
    groups: Math.ceil(blocks / blocksPerGroup),
    journalStart: FIRST_BITMAP_BLOCK + 1,
    journalBlocks,
    dataChecksums,
  };
}

/** The smallest journal with which a store of so many blocks can run all operations. */
export function leastJournalBlocks(blocks: number): number {
  return Math.min(JOURNAL_BLOCKS_LEAST, Math.ceil(blocks / 2) + JOURNAL_HALF_EXTRA);
}

/** Why the numbers cannot be a store's geometry, or null when they can. */
export function validateGeometry(g: Geometry): string | null {
  const { blockBytes, blocks, blocksPerGroup, groups, journalStart, journalBlocks } = g;
  if (!isPowerOfTwo(blockBytes) || blockBytes < MIN_BLOCK_BYTES || blockBytes > MAX_BLOCK_BYTES) {
    return `block size ${blockBytes}`;
  }
  if (blocks < MIN_STORE_BLOCKS || blocks > MAX_BLOCKS) return `${blocks} blocks`;
  if (blocksPerGroup % 32 !== 0 || blocksPerGroup < 32 || blocksPerGroup > maxBlocksPerGroup(blockBytes)) {
    return `${blocksPerGroup} blocks per group`;
  }
  if (groups !== Math.ceil(blocks / blocksPerGroup)) return `${groups} groups`;
  const last = groups - 1;
  if (groups > 1 && groupLength(g, last) < fixedBlocksOf(g, last)) return 'no room in the last group';
  const firstGroupEnd = Math.min(blocksPerGroup, blocks - 1);
  const isInGroup = journalStart > FIRST_BITMAP_BLOCK && journalStart + journalBlocks <= firstGroupEnd;
  if (!isInGroup || journalBlocks < JOURNAL_BLOCKS_MIN) {
    return `journal of ${journalBlocks} blocks at block ${journalStart}`;
  }
  const checksumsEnd = journalStart + journalBlocks + checksumBlocks(g, 0);
  if (checksumsEnd > firstGroupEnd) return 'no room for the checksums of the first group';
  return null;
}

export function groupOf(g: Geometry, block: number): number {
  return Math.floor(block / g.blocksPerGroup);
}

export function groupStart(g: Geometry, group: number): number {
  return group * g.blocksPerGroup;
}

/** Blocks of the group; the last group may be shorter. */
export function groupLength(g: Geometry, group: number): number {
  const start = group * g.blocksPerGroup;
  return Math.min(g.blocksPerGroup, g.blocks - start);
}

export function bitmapBlock(g: Geometry, group: number): number {
  return group === 0 ? FIRST_BITMAP_BLOCK : group * g.blocksPerGroup;
}

export function superblockCopyBlock(g: Geometry): number {
  return g.blocks - 1;
}

/** Checksums in one checksum block. A group has 32 checksum blocks at most, like words in its bitmap's header bits. */
export function checksumsPerBlock(blockBytes: number): number {
  return (blockBytes - HEADER_BYTES) / CHECKSUM_BYTES;
}

/** Checksum blocks of the group. */
export function checksumBlocks(g: Geometry, group: number): number {
  return g.dataChecksums ? Math.ceil(groupLength(g, group) / checksumsPerBlock(g.blockBytes)) : 0;
}

/** The group's first checksum block. */
export function checksumStart(g: Geometry, group: number): number {
  return group === 0 ? g.journalStart + g.journalBlocks : bitmapBlock(g, group) + 1;
}

/** Which of its group's checksum blocks holds the block's checksum. */
export function checksumTableOf(g: Geometry, block: number): number {
  return Math.floor((block % g.blocksPerGroup) / checksumsPerBlock(g.blockBytes));
}

/** The checksum block that holds the block's checksum. */
export function checksumBlockOf(g: Geometry, block: number): number {
  return checksumStart(g, groupOf(g, block)) + checksumTableOf(g, block);
}

/** Which checksum in its checksum block the block's is. */
export function checksumIndexOf(g: Geometry, block: number): number {
  return (block % g.blocksPerGroup) % checksumsPerBlock(g.blockBytes);
}

/** Whether the block is part of the format itself: never allocated, never freed. */
export function isFixedBlock(g: Geometry, block: number): boolean {
  if (block === SUPERBLOCK_BLOCK || block === superblockCopyBlock(g)) return true;
  if (block === bitmapBlock(g, groupOf(g, block))) return true;
  if (block >= g.journalStart && block < g.journalStart + g.journalBlocks) return true;
  const group = groupOf(g, block);
  const start = checksumStart(g, group);
  return block >= start && block < start + checksumBlocks(g, group);
}

/** Fixed blocks of the group. */
export function fixedBlocksOf(g: Geometry, group: number): number {
  let count = 1 + checksumBlocks(g, group);
  if (group === 0) count += 1 + g.journalBlocks;
  if (group === g.groups - 1) count += 1;
  return count;
}

/** Blocks that are free on a new store, before its first allocation. */
export function initialFreeBlocks(g: Geometry): number {
  let fixed = 0;
  for (let group = 0; group < g.groups; group++) fixed += fixedBlocksOf(g, group);
  return g.blocks - fixed;
}
