/**
 * The checksum blocks of a store with data checksums: which there are, which are sound, and what they say.
 *
 * One is read at a time; what is remembered is a bit each.
 */
import { BlockKind, HEADER_WORDS, HeaderAt } from '../../format/block-header.js';
import {
  bitmapBlock,
  checksumBlockOf,
  checksumBlocks,
  checksumIndexOf,
  checksumStart,
  checksumTableOf,
  groupOf,
} from '../../format/geometry.js';
import type { BlockBuffer } from '../device-blocks.js';
import { Findings } from './findings.js';
import type { StoreImage } from './store-image.js';

export class ChecksumTables {
  /** By group: a bit for each checksum block that the bitmap's header tells of. */
  readonly made: Uint32Array;
  /** By group: those that hold what they should. */
  readonly sound: Uint32Array;
  private readonly buffer: BlockBuffer;
  /** The block in `buffer`. */
  private loaded = 0;

  /** Reads them all; each damaged one is a finding. */
  constructor(
    private readonly image: StoreImage,
    findings: Findings,
  ) {
    const { superblock } = image;
    this.buffer = image.buffer();
    this.made = new Uint32Array(superblock.groups);
    this.sound = new Uint32Array(superblock.groups);
    const bitmap = image.buffer();
    for (let group = 0; group < superblock.groupsInitialised; group++) {
      const block = bitmapBlock(superblock, group);
      // A damaged bitmap is a finding of others.
      if (!image.readMetadata(block, BlockKind.Bitmap, group, bitmap, new Findings())) continue;
      this.made[group] = bitmap.words[HeaderAt.Tables / 4];
      for (let table = 0; table < checksumBlocks(superblock, group); table++) {
        if (((this.made[group] >>> table) & 1) !== 0) this.verify(group, table, findings);
      }
    }
  }

  /** Whether the block's checksum is known; `expected` tells it then. */
  has(block: number): boolean {
    const { superblock } = this.image;
    return ((this.sound[groupOf(superblock, block)] >>> checksumTableOf(superblock, block)) & 1) !== 0;
  }

  /** The checksum of a block that `has` is true for. */
  expected(block: number): number {
    const { superblock, blocks } = this.image;
    const at = checksumBlockOf(superblock, block);
    if (this.loaded !== at) blocks.read(at, this.buffer);
    this.loaded = at;
    return this.buffer.words[HEADER_WORDS + checksumIndexOf(superblock, block)];
  }

  /** Looks at one that no bitmap tells of; true where it is one all the same. */
  verify(group: number, table: number, findings: Findings): boolean {
    const block = checksumStart(this.image.superblock, group) + table;
    this.loaded = 0;
    const isSound = this.image.readMetadata(block, BlockKind.Checksums, group, this.buffer, findings);
    if (isSound) this.sound[group] |= 1 << table;
    return isSound;
  }
}
