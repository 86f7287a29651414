/**
 * Repairs checksum blocks: a damaged or missing one is made anew from the blocks that it is about. Their content is taken
 * for good then, since nothing tells otherwise.
 */
import { BlockKind, HEADER_WORDS, writeHeader } from '../../format/block-header.js';
import { dataChecksum } from '../../format/data-checksum.js';
import {
  checksumBlockOf,
  checksumBlocks,
  checksumIndexOf,
  checksumStart,
  checksumTableOf,
  groupOf,
} from '../../format/geometry.js';
import type { BlockBuffer } from '../device-blocks.js';
import { ChecksumTables } from './checksum-tables.js';
import { eachDataBlock } from './data-check.js';
import { Findings } from './findings.js';
import { InodeScan } from './inode-scan.js';
import { Ownership } from './ownership.js';
import type { StoreImage } from './store-image.js';
import { writeMetadata } from './tree-writer.js';

/** Checksum blocks made in one walk through the files. */
const BATCH = 64;

export interface RepairedChecksums {
  /** By group, the bits for the bitmaps' headers: checksum blocks that are there now. */
  wanted: Uint32Array;
  /** The bits that were in them. */
  made: Uint32Array;
}

export function repairChecksums(image: StoreImage, repaired: string[]): RepairedChecksums {
  const { superblock } = image;
  const muted = new Findings();
  const tables = new ChecksumTables(image, muted);
  const scan = new InodeScan(image, muted);
  scan.scan(new Ownership(superblock));
  const wanted = Uint32Array.from(tables.made);
  eachDataBlock(image, scan, (_ino, _page, block) => {
    wanted[groupOf(superblock, block)] |= 1 << checksumTableOf(superblock, block);
  });
  let batch = new Map<number, BlockBuffer>();
  for (let group = 0; group < superblock.groups; group++) {
    for (let table = 0; table < checksumBlocks(superblock, group); table++) {
      const isWanted = ((wanted[group] >>> table) & 1) !== 0;
      const isSound = ((tables.sound[group] >>> table) & 1) !== 0;
      if (!isWanted || isSound || tables.verify(group, table, muted)) continue;
      const block = checksumStart(superblock, group) + table;
      batch.set(block, emptyTable(image, block, group));
      repaired.push(`made checksum block ${table} of group ${group} anew from what the data are now`);
      if (batch.size === BATCH) {
        fill(image, scan, batch);
        batch = new Map();
      }
    }
  }
  fill(image, scan, batch);
  return { wanted, made: tables.made };
}

function emptyTable(image: StoreImage, block: number, group: number): BlockBuffer {
  const buffer = image.buffer();
  buffer.bytes.fill(0);
  writeHeader(buffer.view, 0, BlockKind.Checksums, block, group);
  return buffer;
}

function fill(image: StoreImage, scan: InodeScan, batch: ReadonlyMap<number, BlockBuffer>): void {
  if (batch.size === 0) return;
  eachDataBlock(image, scan, (ino, _page, block, bytes) => {
    const buffer = batch.get(checksumBlockOf(image.superblock, block));
    if (buffer === undefined || bytes === null) return;
    const word = HEADER_WORDS + checksumIndexOf(image.superblock, block);
    buffer.words[word] = dataChecksum(bytes, ino, scan.generation[ino]);
  });
  for (const [block, buffer] of batch) writeMetadata(image, block, buffer);
}
