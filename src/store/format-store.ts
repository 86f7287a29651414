/**
 * Lays an empty store out on a device: the work of `createStore` once it has the device to itself.
 *
 *   0 superblock │ 1 bitmap of group 0 │ journal │ (checksums) │ root leaf of the name tree │ … free … │ last block: superblock copy
 *
 * Later groups get their bitmaps when they are first used, so that formatting costs the same few blocks at any size. The
 * superblock goes last, after everything else is durable: a format cut short leaves no store.
 */
import type { Device } from '../device/device.js';
import { StoreError } from '../errors.js';
import { initialiseBitmap, markUsed } from '../format/bitmap.js';
import { BlockKind, sealBlock, writeHeader } from '../format/block-header.js';
import {
  bitmapBlock,
  checksumBlocks,
  checksumStart,
  type Geometry,
  geometryFor,
  initialFreeBlocks,
  leastJournalBlocks,
  MIN_STORE_BLOCKS,
  SUPERBLOCK_BLOCK,
  superblockCopyBlock,
  validateGeometry,
} from '../format/geometry.js';
import { FIRST_FILE_INO, INODE_TABLE_INO, InodeRecord, RecordFlag, storeInodeRecord } from '../format/inode-record.js';
import { HEAD_SLOTS, writeJournalHead } from '../format/journal-head.js';
import { initNameNode } from '../format/name-node.js';
import {
  DiskState,
  Incompatible,
  MAX_LABEL_BYTES,
  type Superblock,
  SuperblockAt,
  sealSuperblock,
  VERSION_MAJOR,
  VERSION_MINOR,
  writeSuperblock,
} from '../format/superblock.js';
import { isPowerOfTwo, KIB, MAX_BLOCK_BYTES, MIB, MIN_BLOCK_BYTES } from '../units.js';
import { type BlockBuffer, DeviceBlocks } from './device-blocks.js';

/** Signatures of other formats lie near the device's ends: GPT, ZFS, RAID and the file systems all within this. */
const WIPE_BYTES = MIB;
const WIPE_CHUNK_BYTES = 64 * KIB;
/** Block numbers are 32-bit words; the last few numbers are not used. */
const BLOCKS_LIMIT = 2 ** 32;

export interface FormatOptions {
  /** A power of two from 4096 to 65536. */
  blockBytes: number;
  /** At most 64 bytes of UTF-8. */
  label: string;
  dataChecksums: boolean;
  /** Size of the journal's region; by default a 32nd of the device, within bounds. */
  journalBytes?: number;
  /** A multiple of 32; by default as many as a bitmap block tells of. Small groups are for tests. */
  blocksPerGroup?: number;
  /** Milliseconds since the epoch. */
  now: number;
  /** 16 bytes. */
  uuid: Uint8Array;
}

/**
 * Throws EINVAL (too small, no multiple of the block, …) and EFBIG (too many blocks), both before anything is written, and
 * the device's errors.
 */
export function formatDevice(device: Device, options: FormatOptions): void {
  const geometry = planGeometry(device.sizeBytes, options);
  const blocks = new DeviceBlocks(device, geometry.blockBytes);
  const buffer = blocks.buffer();
  wipe(device, buffer);
  const nameRoot = geometry.journalStart + geometry.journalBlocks + checksumBlocks(geometry, 0);
  writeFirstBitmap(blocks, buffer, geometry, nameRoot);
  writeEmptyRoot(blocks, buffer, nameRoot);
  writeEmptyLog(blocks, buffer, geometry, options);
  device.flush();
  writeSuperblocks(blocks, buffer, superblockOf(geometry, nameRoot, options), options.now);
}

function planGeometry(sizeBytes: number, options: FormatOptions): Geometry {
  const { blockBytes, label, dataChecksums, journalBytes, blocksPerGroup } = options;
  const refuse = (detail: string): never => {
    throw new StoreError('EINVAL', { syscall: 'format', detail });
  };
  if (!isPowerOfTwo(blockBytes) || blockBytes < MIN_BLOCK_BYTES || blockBytes > MAX_BLOCK_BYTES) {
    refuse(`the block size must be a power of two from ${MIN_BLOCK_BYTES} to ${MAX_BLOCK_BYTES}, not ${blockBytes}`);
  }
  if (Buffer.byteLength(label) > MAX_LABEL_BYTES || label.includes('\0')) {
    refuse(`the label must be at most ${MAX_LABEL_BYTES} bytes of UTF-8 without NUL`);
  }
  if (sizeBytes % blockBytes !== 0) {
    refuse(`the size of ${sizeBytes} bytes is no multiple of the block size, ${blockBytes}`);
  }
  if (sizeBytes > BLOCKS_LIMIT * blockBytes) {
    const detail = `${sizeBytes} bytes; blocks of ${blockBytes} reach ${BLOCKS_LIMIT * blockBytes}`;
    throw new StoreError('EFBIG', { syscall: 'format', detail });
  }
  let geometry = geometryFor(sizeBytes, blockBytes, blocksPerGroup, dataChecksums);
  if (geometry === null) {
    const minimum = MIN_STORE_BLOCKS * blockBytes;
    return refuse(`the device has ${sizeBytes} bytes, a store of ${blockBytes}-byte blocks needs at least ${minimum}`);
  }
  if (journalBytes !== undefined) geometry = { ...geometry, journalBlocks: Math.floor(journalBytes / blockBytes) };
  const wrong = validateGeometry(geometry);
  if (wrong !== null) refuse(`impossible geometry: ${wrong}`);
  const reserved = checksumStart(geometry, 0) + checksumBlocks(geometry, 0);
  const room = Math.min(geometry.blocksPerGroup, geometry.blocks - 1) - reserved;
  const least = leastJournalBlocks(geometry.blocks);
  // Small groups are for tests, which know what they ask of the journal.
  if (blocksPerGroup === undefined && geometry.journalBlocks < least) {
    refuse(`a journal of ${geometry.journalBlocks} blocks; the least is ${least} blocks, ${least * blockBytes} bytes`);
  }
  if (room < MIN_STORE_BLOCKS / 4) {
    refuse(`a journal of ${geometry.journalBlocks} blocks leaves no room in the first group`);
  }
  return geometry;
}

/** Zeroes what is not zero already near the device's ends, so that a sparse image stays sparse. */
function wipe(device: Device, buffer: BlockBuffer): void {
  const { sizeBytes } = device;
  const step = Math.min(buffer.bytes.length, WIPE_CHUNK_BYTES);
  const tail = Math.max(0, Math.ceil((sizeBytes - WIPE_BYTES) / step) * step);
  for (let position = 0; position < sizeBytes; position += step) {
    if (position >= WIPE_BYTES && position < tail) position = tail;
    device.read([buffer.bytes], position);
    if (buffer.words.every((word) => word === 0)) continue;
    buffer.bytes.fill(0);
    device.write([buffer.bytes], position);
  }
}

function writeFirstBitmap(blocks: DeviceBlocks, buffer: BlockBuffer, g: Geometry, nameRoot: number): void {
  const block = bitmapBlock(g, 0);
  buffer.bytes.fill(0);
  writeHeader(buffer.view, 0, BlockKind.Bitmap, block, 0);
  initialiseBitmap(buffer.words, 0, g, 0);
  markUsed(buffer.words, 0, nameRoot, 1);
  sealBlock(buffer.bytes, block, 0);
  blocks.write(block, buffer);
}

function writeEmptyRoot(blocks: DeviceBlocks, buffer: BlockBuffer, block: number): void {
  buffer.bytes.fill(0);
  writeHeader(buffer.view, 0, BlockKind.NameNode, block, 0);
  initNameNode(buffer.bytes, 0, blocks.blockBytes, 0);
  sealBlock(buffer.bytes, block, 0);
  blocks.write(block, buffer);
}

/** Both heads, of an empty log. What the log's blocks hold is of no matter: checksums are seeded with the uuid. */
function writeEmptyLog(blocks: DeviceBlocks, buffer: BlockBuffer, g: Geometry, options: FormatOptions): void {
  for (let generation = 0; generation < HEAD_SLOTS; generation++) {
    writeJournalHead(buffer.bytes, {
      generation,
      tailSequence: 1,
      tailPosition: 0,
      logBlocks: g.journalBlocks - HEAD_SLOTS,
      uuid: options.uuid,
      writtenMs: options.now,
    });
    blocks.write(g.journalStart + generation, buffer);
  }
}

function superblockOf(geometry: Geometry, nameRoot: number, options: FormatOptions): Superblock {
  return {
    ...geometry,
    versionMajor: VERSION_MAJOR,
    versionMinor: VERSION_MINOR,
    incompatible: geometry.dataChecksums ? Incompatible.DataChecksums : 0,
    readOnlyCompatible: 0,
    compatible: 0,
    state: DiskState.Clean,
    uuid: options.uuid,
    label: options.label,
    groupsInitialised: 1,
    nameRoot,
    inodeHighWater: FIRST_FILE_INO,
    inodeFreeHead: 0,
    orphanHead: 0,
    files: 0,
    blocksFree: initialFreeBlocks(geometry) - 1,
    mounts: 0,
    createdMs: options.now,
    transaction: 0,
    nextGeneration: 1,
    writtenMs: options.now,
  };
}

function writeSuperblocks(blocks: DeviceBlocks, buffer: BlockBuffer, s: Superblock, now: number): void {
  buffer.bytes.fill(0);
  writeSuperblock(buffer.view, 0, s);
  const table = new InodeRecord();
  table.ino = INODE_TABLE_INO;
  table.flags = RecordFlag.Used;
  table.links = 1;
  table.mtimeMs = now;
  table.ctimeMs = now;
  table.birthtimeMs = now;
  storeInodeRecord(buffer.view, SuperblockAt.InodeTableRecord, table);
  const copy = superblockCopyBlock(s);
  sealSuperblock(buffer.bytes, copy, s.transaction, now);
  blocks.write(copy, buffer);
  blocks.device.flush();
  sealSuperblock(buffer.bytes, SUPERBLOCK_BLOCK, s.transaction, now);
  blocks.write(SUPERBLOCK_BLOCK, buffer);
  blocks.device.flush();
}
