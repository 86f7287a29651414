/**
 * A store on its device as the checker sees it: the superblock it goes by, and metadata blocks read and verified one at a
 * time. Damage and I/O errors become findings, never exceptions.
 */
import { carveAligned } from '../../device/aligned-memory.js';
import { StoreError } from '../../errors.js';
import { BlockKind, headerOwner, kindName, verifyBlock } from '../../format/block-header.js';
import { inodesPerBlock } from '../../format/inode-record.js';
import type { Superblock } from '../../format/superblock.js';
import type { BlockBuffer, DeviceBlocks } from '../device-blocks.js';
import type { CheckCode, Findings } from './findings.js';

const CODES: Record<number, CheckCode> = {
  [BlockKind.Bitmap]: 'BITMAP_BLOCK',
  [BlockKind.Inodes]: 'INODE_BLOCK',
  [BlockKind.ExtentNode]: 'EXTENT_NODE',
  [BlockKind.NameNode]: 'NAME_NODE',
  [BlockKind.Checksums]: 'CHECKSUM_BLOCK',
};

export class StoreImage {
  readonly perBlock: number;
  private run: Uint8Array = new Uint8Array(0);

  constructor(
    readonly blocks: DeviceBlocks,
    readonly superblock: Superblock,
    /** The superblock's bytes; the inode table's record is in them. */
    readonly superblockBuffer: BlockBuffer,
  ) {
    this.perBlock = inodesPerBlock(superblock.blockBytes);
  }

  get blockBytes(): number {
    return this.superblock.blockBytes;
  }

  buffer(): BlockBuffer {
    return this.blocks.buffer();
  }

  /** Memory for a run of blocks; there is one, for one user at a time. */
  runBuffer(blocks: number): Uint8Array {
    const lengthBytes = blocks * this.blockBytes;
    if (this.run.length < lengthBytes) this.run = carveAligned(lengthBytes);
    return this.run.subarray(0, lengthBytes);
  }

  /** Reads adjacent blocks at once; false, and no finding, where one of them cannot be read. */
  readRun(block: number, count: number, into: Uint8Array): boolean {
    const lengthBytes = count * this.blockBytes;
    try {
      return this.blocks.device.read([into.subarray(0, lengthBytes)], block * this.blockBytes) === lengthBytes;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      return false;
    }
  }

  /** Reads a block whatever it holds; false after a finding. */
  read(block: number, into: BlockBuffer, findings: Findings, ino = 0): boolean {
    try {
      this.blocks.read(block, into);
      return true;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      findings.add('IO', `block ${block}: ${error.message}`, where(block, ino));
      return false;
    }
  }

  /** Reads a metadata block and verifies its header; false after a finding. */
  readMetadata(block: number, kind: BlockKind, owner: number, into: BlockBuffer, findings: Findings): boolean {
    if (!this.read(block, into, findings, kind === BlockKind.ExtentNode ? owner : 0)) return false;
    return this.verifyMetadata(block, kind, owner, into, findings);
  }

  /** Verifies what was read from `block`. */
  verifyMetadata(block: number, kind: BlockKind, owner: number, into: BlockBuffer, findings: Findings): boolean {
    let wrong = verifyBlock(into.bytes, block, kind);
    if (wrong === null && headerOwner(into.view, 0) !== owner) {
      wrong = `belongs to owner ${headerOwner(into.view, 0)}, not ${owner}`;
    }
    if (wrong === null) return true;
    this.addDamage(block, kind, wrong, findings, kind === BlockKind.ExtentNode ? owner : 0);
    return false;
  }

  addDamage(block: number, kind: BlockKind, wrong: string, findings: Findings, ino = 0): void {
    findings.add(CODES[kind], `${kindName(kind)} at block ${block}: ${wrong}`, where(block, ino));
  }
}

function where(block: number, ino: number): { block: number; ino?: number } {
  return ino === 0 ? { block } : { block, ino };
}
