/**
 * One pass over a whole store: inode table, names, files, bitmaps, counters, in this order, which is also the order in
 * which blocks are claimed: where two want one block, metadata that all depend on goes first.
 */
import { BitmapCheck } from './bitmap-check.js';
import { ChecksumTables } from './checksum-tables.js';
import { checkData } from './data-check.js';
import { FileWalk } from './file-walk.js';
import { Findings } from './findings.js';
import { InodeScan } from './inode-scan.js';
import { NameWalk } from './name-walk.js';
import { describeOwner, Ownership } from './ownership.js';
import type { StoreImage } from './store-image.js';

export interface CheckCounts {
  blocks: number;
  blocksFree: number;
  files: number;
  /** In use, deleted but open ones included. */
  inodes: number;
  extents: number;
  extentBlocks: number;
  nameBlocks: number;
  dataBlocks: number;
}

export class Inspection {
  readonly ownership: Ownership;
  readonly scan: InodeScan;
  readonly names: NameWalk;
  readonly files: FileWalk;
  readonly bitmaps: BitmapCheck;

  constructor(image: StoreImage, findings: Findings) {
    const { superblock } = image;
    this.ownership = new Ownership(superblock);
    this.scan = new InodeScan(image, findings);
    this.scan.scan(this.ownership);
    this.scan.checkLists();
    this.names = new NameWalk(image, this.scan, this.ownership, findings);
    this.names.walk();
    this.files = new FileWalk(image, this.scan, this.ownership, findings);
    this.files.walk();
    reportConflicts(image, this.ownership, findings);
    this.bitmaps = new BitmapCheck(image, this.ownership, findings);
    this.bitmaps.check();
    if (this.names.names !== superblock.files) {
      findings.add('FILES', `${this.names.names} files have names, the superblock says ${superblock.files}`);
    }
    addNames(image, this.scan, findings);
  }

  /** Reads all data too, where they have checksums. */
  checkData(image: StoreImage, findings: Findings): void {
    if (!image.superblock.dataChecksums) return;
    checkData(image, this.scan, new ChecksumTables(image, findings), findings);
    addNames(image, this.scan, findings);
  }

  counts(image: StoreImage): CheckCounts {
    return {
      blocks: image.superblock.blocks,
      blocksFree: this.bitmaps.blocksFree,
      files: this.names.names,
      inodes: this.files.inodes,
      extents: this.files.extents,
      extentBlocks: this.files.treeBlocks,
      nameBlocks: this.names.nodes,
      dataBlocks: this.files.dataBlocks,
    };
  }
}

/** Claims everything once more to learn who was first, then reports each conflict with both owners. */
function reportConflicts(image: StoreImage, ownership: Ownership, findings: Findings): void {
  const { conflicts, conflictsOmitted } = ownership;
  if (conflicts.length === 0) return;
  const muted = new Findings();
  const again = new Ownership(image.superblock);
  again.watch = conflicts;
  const scan = new InodeScan(image, muted);
  scan.scan(again);
  new NameWalk(image, scan, again, muted).walk();
  new FileWalk(image, scan, again, muted).walk();
  for (const { start, length, first, second } of conflicts) {
    const what = length === 1 ? `block ${start} belongs` : `blocks ${start} … ${start + length - 1} belong`;
    const where = second.ino === 0 ? { block: start } : { block: start, ino: second.ino };
    findings.add('BLOCK_SHARED', `${what} to ${describeOwner(first)} and to ${describeOwner(second)}`, where);
  }
  findings.omitted += conflictsOmitted;
}

/** Says in each finding about an inode which file that is. */
function addNames(image: StoreImage, scan: InodeScan, findings: Findings): void {
  const wanted = new Map<number, string>();
  for (const error of findings.errors)
    if (error.ino !== undefined && error.name === undefined) wanted.set(error.ino, '');
  if (wanted.size === 0) return;
  const visit = (name: Uint8Array, ino: number): void => {
    if (wanted.has(ino)) wanted.set(ino, Buffer.from(name).toString('utf8'));
  };
  new NameWalk(image, scan, new Ownership(image.superblock), new Findings(), visit).walk();
  for (const error of findings.errors) {
    const name = error.ino === undefined ? undefined : wanted.get(error.ino);
    if (name !== undefined && name !== '' && error.name === undefined) error.name = name;
  }
}
