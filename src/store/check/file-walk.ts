/**
 * Walks all files: the extent tree of every inode in use, and its record against what the tree holds.
 */
import {
  firstInodeOfPage,
  InodeRecord,
  inodeRecordOffset,
  loadInodeRecord,
  treeBlocks,
} from '../../format/inode-record.js';
import { divideUp } from '../../units.js';
import type { BlockBuffer } from '../device-blocks.js';
import { type ExtentVisitor, ExtentWalk } from './extent-walk.js';
import { Findings } from './findings.js';
import { type InodeScan, InodeState } from './inode-scan.js';
import type { Ownership } from './ownership.js';
import type { StoreImage } from './store-image.js';

export const enum FileDamage {
  /** Part of the extent tree is lost, or belongs to another. */
  Tree = 1,
  /** Block counts in the record. */
  Counts = 2,
  Size = 4,
  /** The number of links, or the mark of a deleted inode. */
  Links = 8,
  /** No name leads to it. */
  Nameless = 16,
}

export class FileWalk {
  inodes = 0;
  extents = 0;
  dataBlocks = 0;
  treeBlocks = 0;
  /** FileDamage bits of the inodes that have any. */
  readonly damaged = new Map<number, number>();
  readonly tree: ExtentWalk;
  private readonly record = new InodeRecord();

  constructor(
    private readonly image: StoreImage,
    private readonly scan: InodeScan,
    ownership: Ownership,
    private readonly findings: Findings,
  ) {
    this.tree = new ExtentWalk(image, ownership, findings);
  }

  /** `visitorOf` may give a visitor for the extents of an inode; `done` is called after each inode in use. */
  walk(
    visitorOf: ((ino: number) => ExtentVisitor | null) | null = null,
    done: ((ino: number, record: InodeRecord, tree: ExtentWalk) => void) | null = null,
  ): void {
    const { perBlock } = this.image;
    // Damaged blocks of the table were findings of the scan.
    this.scan.eachTableBlock(new Findings(), (page, buffer) => {
      for (let ino = firstInodeOfPage(page, perBlock), i = 0; i < perBlock && ino < this.scan.end; i++, ino++) {
        const state = this.scan.state[ino];
        if (state !== InodeState.Used && state !== InodeState.Deleted) continue;
        this.file(ino, buffer, visitorOf === null ? null : visitorOf(ino));
        done?.(ino, this.record, this.tree);
      }
    });
  }

  private file(ino: number, buffer: BlockBuffer, visitor: ExtentVisitor | null): void {
    const { tree, record } = this;
    const at = inodeRecordOffset(ino, this.image.perBlock);
    loadInodeRecord(buffer.view, at, record);
    tree.walk(ino, 'data', buffer, at, visitor);
    this.inodes += 1;
    this.extents += tree.extents;
    this.dataBlocks += tree.dataBlocks;
    this.treeBlocks += tree.treeBlocks;
    if (tree.isDamaged) this.mark(ino, FileDamage.Tree);
    else this.checkCounts(ino, treeBlocks(buffer.view, at));
    this.checkSize(ino);
    this.checkLinks(ino);
  }

  private checkCounts(ino: number, treeBlocksRecorded: number): void {
    const { tree, record } = this;
    if (record.blocks === tree.dataBlocks && treeBlocksRecorded === tree.treeBlocks) return;
    this.mark(ino, FileDamage.Counts);
    this.findings.add(
      'INODE_BLOCKS',
      `inode ${ino} has ${tree.dataBlocks} blocks and ${tree.treeBlocks} tree blocks, its record says ${record.blocks} and ${treeBlocksRecorded}`,
      { ino },
    );
  }

  /** Only unwritten extents may lie past the end; but for a truncation that a crash cut short (on the orphan list). */
  private checkSize(ino: number): void {
    const pages = divideUp(this.record.sizeBytes, this.image.blockBytes);
    if (this.tree.writtenEnd <= pages || this.scan.orphaned[ino] !== 0) return;
    this.mark(ino, FileDamage.Size);
    this.findings.add(
      'INODE_SIZE',
      `inode ${ino} has a size of ${this.record.sizeBytes} bytes, and written pages up to ${this.tree.writtenEnd}`,
      { ino },
    );
  }

  private checkLinks(ino: number): void {
    const isDeleted = this.scan.state[ino] === InodeState.Deleted;
    const isNamed = this.scan.named[ino] !== 0;
    if (isDeleted ? isNamed : this.record.links !== 1) {
      this.mark(ino, FileDamage.Links);
      const what = isDeleted ? 'is deleted but has a name' : `has ${this.record.links} links`;
      this.findings.add('INODE_LINKS', `inode ${ino} ${what}`, { ino });
    } else if (isDeleted && this.record.links !== 0) {
      this.mark(ino, FileDamage.Links);
      this.findings.add('INODE_LINKS', `inode ${ino} is deleted but has ${this.record.links} links`, { ino });
    }
    if (!isDeleted && !isNamed) {
      this.mark(ino, FileDamage.Nameless);
      this.findings.add('INODE_NAMELESS', `inode ${ino} has no name`, { ino });
    }
  }

  private mark(ino: number, damage: FileDamage): void {
    this.damaged.set(ino, (this.damaged.get(ino) ?? 0) | damage);
  }
}
