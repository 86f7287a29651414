/**
 * Where the log lies: the journal's region but for the head's slots, used as a ring. A *position* is a block's place in it,
 * counted from the log's first block.
 *
 * Constants and arithmetic; any thread.
 */
import { HEAD_SLOTS } from '../format/journal-head.js';
import { entriesPerDescriptor, entriesPerRevocation } from '../format/journal-record.js';

/** Blocks of a transaction that are no handle's: the superblock and its copy. */
export const SUPERBLOCK_IMAGES = 2;
const COMMIT_RECORDS = 1;
/** Longer lists of revocations would crowd the images out of a small log. */
const REVOCATION_SHARE = 64;

export interface LogShape {
  /** First block of the journal's region, and its blocks. */
  readonly start: number;
  readonly blocks: number;
  readonly blockBytes: number;
  readonly uuid: Uint8Array;
  /** Blocks of the store: images belong below this. */
  readonly storeBlocks: number;
}

export class LogArea {
  /** Blocks of the ring. */
  readonly length: number;

  constructor(readonly shape: LogShape) {
    this.length = shape.blocks - HEAD_SLOTS;
  }

  get blockBytes(): number {
    return this.shape.blockBytes;
  }

  /** The byte of the device at which the block of a position begins. */
  bytesAt(position: number): number {
    return (this.shape.start + HEAD_SLOTS + position) * this.shape.blockBytes;
  }

  headBytesAt(slot: number): number {
    return (this.shape.start + slot) * this.shape.blockBytes;
  }

  after(position: number, blocks: number): number {
    return (position + blocks) % this.length;
  }

  /** Blocks from one position on to the other. */
  distance(from: number, to: number): number {
    return (to - from + this.length) % this.length;
  }

  /** Whether an image may belong at this block: the journal never holds itself. */
  mayBelongAt(block: number): boolean {
    const { start, blocks, storeBlocks } = this.shape;
    return block < storeBlocks && (block < start || block >= start + blocks);
  }

  /** How far behind its transaction's first record image `i` lies: each descriptor is followed by what it describes. */
  imageOffset(i: number): number {
    return i + 1 + Math.floor(i / entriesPerDescriptor(this.blockBytes));
  }

  /** Blocks that a transaction takes in the log. */
  transactionLength(images: number, revoked: number): number {
    const { blockBytes } = this;
    const descriptors = Math.ceil(images / entriesPerDescriptor(blockBytes));
    return images + descriptors + Math.ceil(revoked / entriesPerRevocation(blockBytes)) + COMMIT_RECORDS;
  }
}

/** Most blocks that one transaction may revoke in a log of this length. */
export function revokedMax(logLength: number, blockBytes: number): number {
  return entriesPerRevocation(blockBytes) * Math.max(1, Math.floor(logLength / REVOCATION_SHARE));
}

/** Most blocks that the handles of one transaction may dirty so that it fits a log of this length, alone. */
export function handleBlocksMax(logLength: number, blockBytes: number, revoked: number): number {
  const revocations = Math.ceil(revoked / entriesPerRevocation(blockBytes));
  const room = logLength - revocations - COMMIT_RECORDS;
  const per = entriesPerDescriptor(blockBytes);
  return room - Math.ceil(room / (per + 1)) - SUPERBLOCK_IMAGES;
}
