/**
 * The inode table: where its blocks are, which inodes are in use, and whether the lists through the free and the orphaned
 * ones hold together. What the inodes map is extent-walk.ts's.
 *
 * Memory: 12 bytes an inode, 8 a table block.
 */
import { BlockKind } from '../../format/block-header.js';
import {
  FIRST_FILE_INO,
  firstInodeOfPage,
  INODE_TABLE_INO,
  InodeRecord,
  inodeRecordOffset,
  isWorkSound,
  loadInodeRecord,
  loadWork,
  RecordFlag,
  rootCount,
  treeBlocks,
  WORKS,
  WorkKind,
} from '../../format/inode-record.js';
import { DiskState, SuperblockAt } from '../../format/superblock.js';
import { MAX_FILE_PAGES } from '../../units.js';
import type { BlockBuffer } from '../device-blocks.js';
import { ExtentWalk } from './extent-walk.js';
import { Findings } from './findings.js';
import type { Ownership } from './ownership.js';
import type { StoreImage } from './store-image.js';

export const enum InodeState {
  Free,
  Used,
  /** In use without a name, until the last close. */
  Deleted,
  /** Its record cannot be read or makes no sense. */
  Lost,
}

export const enum WorkState {
  None,
  Sound,
  Wrong,
}

/** Table blocks read at once. */
const RUN_BLOCKS = 64;

export class InodeScan {
  /** The block of each page of the table; 0 where the table's tree has none. */
  readonly pageBlocks: number[] = [];
  /** Pages whose block is damaged. */
  readonly damagedPages = new Set<number>();
  isTreeDamaged = false;
  /** The table's record in the superblock says other than its tree. */
  isRecordWrong = false;
  isFreeListWrong = false;
  isOrphanListWrong = false;
  /** Inode numbers are below this. */
  end = FIRST_FILE_INO;
  state: Uint8Array = new Uint8Array(0);
  /** 1: a name leads to it. */
  named: Uint8Array = new Uint8Array(0);
  /** 1: on the orphan list. */
  orphaned: Uint8Array = new Uint8Array(0);
  /** What its record says of unfinished work. */
  work: Uint8Array = new Uint8Array(0);
  isWorkWrong = false;
  generation: Uint32Array = new Uint32Array(0);
  private next: Uint32Array = new Uint32Array(0);
  private readonly record = new InodeRecord();

  constructor(
    readonly image: StoreImage,
    private readonly findings: Findings,
  ) {}

  /** Claims the table's blocks, then reads all records. */
  scan(ownership: Ownership): void {
    this.mapTable(ownership);
    const { perBlock, superblock } = this.image;
    const capacity = FIRST_FILE_INO + this.pageBlocks.length * perBlock;
    if (superblock.inodeHighWater > capacity || superblock.inodeHighWater <= capacity - perBlock) {
      const message = `the table has room for inodes below ${capacity}, the superblock says ${superblock.inodeHighWater}`;
      this.findings.add('INODE_TABLE', message);
      this.isRecordWrong = true;
    }
    this.end = Math.min(superblock.inodeHighWater, capacity);
    this.state = new Uint8Array(this.end).fill(InodeState.Lost, FIRST_FILE_INO);
    this.named = new Uint8Array(this.end);
    this.orphaned = new Uint8Array(this.end);
    this.work = new Uint8Array(this.end);
    this.generation = new Uint32Array(this.end);
    this.next = new Uint32Array(this.end);
    const seen = new Set<number>();
    this.eachTableBlock(this.findings, (page, buffer) => {
      seen.add(page);
      for (let ino = firstInodeOfPage(page, perBlock), i = 0; i < perBlock && ino < this.end; i++, ino++) {
        this.scanRecord(buffer, ino);
      }
    });
    for (let page = 0; page < this.pageBlocks.length; page++) if (!seen.has(page)) this.damagedPages.add(page);
  }

  /** Calls `visit` with every sound block of the table, in order. The buffer is `visit`'s until it returns. */
  eachTableBlock(findings: Findings, visit: (page: number, buffer: BlockBuffer) => void): void {
    const { image, pageBlocks } = this;
    const buffer = image.buffer();
    const run = image.runBuffer(Math.min(RUN_BLOCKS, pageBlocks.length));
    for (let page = 0; page < pageBlocks.length; ) {
      let count = 1;
      while (
        count < RUN_BLOCKS &&
        page + count < pageBlocks.length &&
        pageBlocks[page + count] === pageBlocks[page] + count
      ) {
        count++;
      }
      if (pageBlocks[page] !== 0) {
        const inRun = count > 1 && image.readRun(pageBlocks[page], count, run);
        for (let i = 0; i < count; i++) {
          if (inRun) buffer.bytes.set(run.subarray(i * image.blockBytes, (i + 1) * image.blockBytes));
          const block = pageBlocks[page + i];
          const isSound = inRun
            ? image.verifyMetadata(block, BlockKind.Inodes, INODE_TABLE_INO, buffer, findings)
            : image.readMetadata(block, BlockKind.Inodes, INODE_TABLE_INO, buffer, findings);
          if (isSound) visit(page + i, buffer);
        }
      }
      page += count;
    }
  }

  /** Follows the two lists; call after `scan`. */
  checkLists(): void {
    const { inodeFreeHead, orphanHead } = this.image.superblock;
    const listed = this.follow(
      'INODE_FREE_LIST',
      'free list',
      inodeFreeHead,
      (ino) => this.state[ino] === InodeState.Free,
    );
    this.isFreeListWrong = listed === null;
    const orphans = this.follow('ORPHAN_LIST', 'orphan list', orphanHead, (ino) => {
      return this.state[ino] === InodeState.Used || this.state[ino] === InodeState.Deleted;
    });
    this.isOrphanListWrong = orphans === null;
    if (orphans !== null) this.orphaned = orphans;
    if (this.image.superblock.state === DiskState.Clean) this.reportOrphans();
    for (let ino = FIRST_FILE_INO; ino < this.end; ino++) {
      if (this.state[ino] === InodeState.Free && listed !== null && listed[ino] === 0) {
        this.findings.add('INODE_FREE_LIST', `inode ${ino} is free but not on the free list`, { ino });
        this.isFreeListWrong = true;
      }
      if (this.state[ino] === InodeState.Deleted && orphans !== null && orphans[ino] === 0) {
        this.findings.add('ORPHAN_LIST', `inode ${ino} is deleted but not on the orphan list`, { ino });
        this.isOrphanListWrong = true;
      }
      if (this.work[ino] !== WorkState.None) this.checkWork(ino, orphans);
    }
  }

  /** Closing leaves none: a store that has some is not marked clean. */
  private reportOrphans(): void {
    this.orphaned.forEach((isListed, ino) => {
      if (isListed === 0) return;
      this.findings.add('ORPHAN_LIST', `inode ${ino} is on the orphan list of a store that was closed`, { ino });
    });
  }

  private checkWork(ino: number, orphans: Uint8Array | null): void {
    if (this.work[ino] === WorkState.Sound && (orphans === null || orphans[ino] !== 0)) return;
    const why = this.work[ino] === WorkState.Sound ? 'but is not on the orphan list' : 'that makes no sense';
    this.findings.add('INODE', `inode ${ino} has unfinished work ${why}`, { ino });
    this.isWorkWrong = true;
  }

  /** Which inodes the list holds, or null when it is broken. */
  private follow(
    code: 'INODE_FREE_LIST' | 'ORPHAN_LIST',
    what: string,
    head: number,
    belongs: (ino: number) => boolean,
  ): Uint8Array | null {
    const listed = new Uint8Array(this.end);
    for (let ino = head, before = 0; ino !== 0; before = ino, ino = this.next[ino]) {
      const after = before === 0 ? 'its head' : `inode ${before}`;
      if (ino < FIRST_FILE_INO || ino >= this.end || !belongs(ino)) {
        this.findings.add(code, `the ${what} leads from ${after} to inode ${ino}, which does not belong there`, {
          ino,
        });
        return null;
      }
      if (listed[ino] !== 0) {
        this.findings.add(code, `the ${what} comes back to inode ${ino}`, { ino });
        return null;
      }
      listed[ino] = 1;
    }
    return listed;
  }

  private mapTable(ownership: Ownership): void {
    const { image, findings, pageBlocks, record } = this;
    const walk = new ExtentWalk(image, ownership, findings);
    const at = SuperblockAt.InodeTableRecord;
    loadInodeRecord(image.superblockBuffer.view, at, record);
    if (record.ino !== INODE_TABLE_INO || record.flags !== RecordFlag.Used) {
      findings.add('INODE_TABLE', "the superblock's record of the inode table is none", { ino: INODE_TABLE_INO });
      this.isRecordWrong = true;
    }
    walk.walk(INODE_TABLE_INO, 'inode table', image.superblockBuffer, at, {
      extent: (page, block, length, unwritten) => {
        if (!unwritten && this.addPages(page, block, length, ownership.lastConflicts)) return;
        const message = `the inode table maps page ${page} to block ${block}, which is not its own`;
        findings.add('INODE_TABLE', message, { ino: INODE_TABLE_INO, block });
        this.isTreeDamaged = true;
      },
    });
    this.isTreeDamaged ||= walk.isDamaged;
    const missing = pageBlocks.indexOf(0);
    if (missing >= 0) {
      findings.add('INODE_TABLE', `page ${missing} of the inode table is missing`, { ino: INODE_TABLE_INO });
      this.isTreeDamaged = true;
    }
    const isWrong =
      record.blocks !== walk.dataBlocks ||
      treeBlocks(image.superblockBuffer.view, at) !== walk.treeBlocks ||
      record.sizeBytes !== walk.endPage * image.blockBytes;
    if (isWrong && !walk.isDamaged) {
      const message = `the inode table has ${walk.dataBlocks} blocks and ${walk.treeBlocks} tree blocks, its record says ${record.blocks} and ${treeBlocks(image.superblockBuffer.view, at)}, and a size of ${record.sizeBytes} bytes`;
      findings.add('INODE_TABLE', message, { ino: INODE_TABLE_INO });
      this.isRecordWrong = true;
    }
  }

  /**
   * Takes an extent of the table. Pages past the high-water mark are the table's only if they follow the others and hold
   * inodes: a wrong page or length must not make a table of whatever there is. False where that stops it.
   */
  private addPages(page: number, block: number, length: number, taken: readonly number[]): boolean {
    const { pageBlocks, image } = this;
    const expected = Math.ceil((image.superblock.inodeHighWater - FIRST_FILE_INO) / image.perBlock);
    if (page > pageBlocks.length && page >= expected) return false;
    while (pageBlocks.length < page) pageBlocks.push(0);
    const buffer = image.buffer();
    let done = 0;
    for (; done < length; done++) {
      if (page + done >= expected && !this.isInodeBlock(block + done, buffer)) break;
      pageBlocks.push(block + done);
    }
    for (let i = 0; i < taken.length; i += 2) {
      const from = page + taken[i] - block;
      pageBlocks.fill(0, from, from + taken[i + 1]);
    }
    return done === length;
  }

  private isInodeBlock(block: number, buffer: BlockBuffer): boolean {
    return this.image.readMetadata(block, BlockKind.Inodes, INODE_TABLE_INO, buffer, new Findings());
  }

  private scanRecord(buffer: BlockBuffer, ino: number): void {
    const { record } = this;
    const at = inodeRecordOffset(ino, this.image.perBlock);
    loadInodeRecord(buffer.view, at, record);
    this.generation[ino] = record.generation;
    this.next[ino] = record.next;
    const wrong = this.recordProblem(record, ino, rootCount(buffer.view, at));
    if (wrong !== null) {
      this.findings.add('INODE', `inode ${ino}: ${wrong}`, { ino });
      return;
    }
    this.work[ino] = workState(buffer.view, at);
    if (record.flags === 0) this.state[ino] = InodeState.Free;
    else this.state[ino] = record.flags & RecordFlag.Deleted ? InodeState.Deleted : InodeState.Used;
  }

  private recordProblem(record: InodeRecord, ino: number, extents: number): string | null {
    if (record.flags === 0) return extents === 0 ? null : 'a free record with extents';
    if (record.flags !== RecordFlag.Used && record.flags !== (RecordFlag.Used | RecordFlag.Deleted)) {
      return `flags 0x${record.flags.toString(16)}`;
    }
    if (record.ino !== ino) return `its record says it is inode ${record.ino}`;
    if (record.sizeBytes > MAX_FILE_PAGES * this.image.blockBytes) return `a size of ${record.sizeBytes} bytes`;
    return null;
  }
}

function workState(view: DataView, at: number): WorkState {
  let state = WorkState.None;
  for (let place = 0; place < WORKS; place++) {
    const work = loadWork(view, at, place);
    if (work.kind === WorkKind.None) continue;
    if (!isWorkSound(work)) return WorkState.Wrong;
    state = WorkState.Sound;
  }
  return state;
}
