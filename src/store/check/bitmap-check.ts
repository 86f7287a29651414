/**
 * The bitmaps on the device against the blocks that the trees own.
 */
import { countFree, popcount } from '../../format/bitmap.js';
import { BlockKind, HEADER_WORDS } from '../../format/block-header.js';
import { bitmapBlock, fixedBlocksOf, groupLength, groupStart } from '../../format/geometry.js';
import type { Findings } from './findings.js';
import type { Ownership } from './ownership.js';
import type { StoreImage } from './store-image.js';

export class BitmapCheck {
  /** Blocks that nobody owns. */
  blocksFree = 0;
  /** Groups whose bitmap on the device is not what it should be. */
  readonly wrongGroups: number[] = [];

  constructor(
    private readonly image: StoreImage,
    private readonly ownership: Ownership,
    private readonly findings: Findings,
  ) {}

  check(): void {
    const { superblock } = this.image;
    const { groups, groupsInitialised, blocks } = superblock;
    const buffer = this.image.buffer();
    this.blocksFree = blocks;
    for (let group = 0; group < groups; group++) {
      this.blocksFree -= groupLength(superblock, group) - this.freeIn(group);
      if (group >= groupsInitialised) continue;
      const block = bitmapBlock(superblock, group);
      const isSound = this.image.readMetadata(block, BlockKind.Bitmap, group, buffer, this.findings);
      if (!isSound || !this.compare(group, block, buffer.words)) this.wrongGroups.push(group);
    }
    if (this.ownership.groupsUsed > groupsInitialised) {
      const message = `blocks of group ${this.ownership.groupsUsed - 1} are in use, but only ${groupsInitialised} groups have a bitmap`;
      this.findings.add('GROUPS_INITIALISED', message);
    }
    if (this.blocksFree !== superblock.blocksFree) {
      const message = `${this.blocksFree} blocks are free, the superblock says ${superblock.blocksFree}`;
      this.findings.add('BLOCKS_FREE', message);
    }
  }

  private freeIn(group: number): number {
    const { superblock } = this.image;
    const length = groupLength(superblock, group);
    if (!this.ownership.isTouched(group)) return length - fixedBlocksOf(superblock, group);
    return countFree(this.ownership.group(group), 0, length);
  }

  private compare(group: number, block: number, found: Uint32Array): boolean {
    const expected = this.ownership.group(group);
    let leaked = 0;
    let unprotected = 0;
    let first = -1;
    for (let word = HEADER_WORDS; word < expected.length; word++) {
      const difference = (found[word] ^ expected[word]) >>> 0;
      if (difference === 0) continue;
      leaked += popcount(found[word] & difference);
      unprotected += popcount(expected[word] & difference);
      if (first < 0) first = (word - HEADER_WORDS) * 32 + (31 - Math.clz32(difference & -difference));
    }
    if (first < 0) return true;
    const at = groupStart(this.image.superblock, group) + first;
    const parts = [];
    if (leaked > 0) parts.push(`calls ${leaked} blocks used that nobody owns`);
    if (unprotected > 0) parts.push(`calls ${unprotected} blocks free that are in use`);
    this.findings.add('BITMAP', `the bitmap of group ${group} ${parts.join(' and ')}; the first is block ${at}`, {
      block,
    });
    return false;
  }
}
