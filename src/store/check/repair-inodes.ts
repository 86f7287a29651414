/**
 * Repairs the inode table: every page gets a sound block, records that make no sense become free ones, and the lists
 * through free and deleted inodes are made anew.
 */
import { BlockKind, HeaderAt, headerKind, headerOwner } from '../../format/block-header.js';
import {
  clearInodeRecord,
  clearWork,
  FIRST_FILE_INO,
  firstInodeOfPage,
  INODE_TABLE_INO,
  InodeAt,
  InodeRecord,
  inodeRecordOffset,
  inodeTablePage,
  RecordFlag,
  storeInodeRecord,
} from '../../format/inode-record.js';
import { SuperblockAt } from '../../format/superblock.js';
import type { BlockBuffer } from '../device-blocks.js';
import { Findings } from './findings.js';
import { InodeScan, InodeState, WorkState } from './inode-scan.js';
import type { Inspection } from './inspection.js';
import { Ownership } from './ownership.js';
import type { StoreImage } from './store-image.js';
import { type ExtentItem, type TakeBlock, writeExtentTree, writeFreeInodes, writeMetadata } from './tree-writer.js';

/** Whether anything had to be done. */
export function repairInodeTable(image: StoreImage, scan: InodeScan, take: TakeBlock, repaired: string[]): boolean {
  const buffer = image.buffer();
  let isTreeWrong = scan.isTreeDamaged || scan.isRecordWrong;
  for (const page of scan.damagedPages) {
    if (!isPlausible(image, scan.pageBlocks[page], buffer)) {
      scan.pageBlocks[page] = take();
      isTreeWrong = true;
    }
    writeFreeInodes(image, scan.pageBlocks[page], buffer);
    repaired.push(`made page ${page} of the inode table anew; its inodes are lost`);
  }
  if (isTreeWrong) {
    writeTableRecord(image, scan, take);
    repaired.push('made the record and the extent tree of the inode table anew');
  }
  const cleared = clearLostRecords(image, buffer, repaired);
  return isTreeWrong || scan.damagedPages.size > 0 || cleared > 0;
}

/** Whether a damaged block looks like one of the table's all the same; another's block must not be overwritten. */
function isPlausible(image: StoreImage, block: number, buffer: BlockBuffer): boolean {
  if (block === 0 || !image.read(block, buffer, new Findings())) return false;
  const isKind = headerKind(buffer.view, 0) === BlockKind.Inodes;
  const isOwn = buffer.view.getUint32(HeaderAt.Block, true) === block;
  const isOwner = headerOwner(buffer.view, 0) === INODE_TABLE_INO;
  return Number(isKind) + Number(isOwn) + Number(isOwner) >= 2;
}

function writeTableRecord(image: StoreImage, scan: InodeScan, take: TakeBlock): void {
  const { superblock, superblockBuffer, perBlock } = image;
  const { pageBlocks } = scan;
  const at = SuperblockAt.InodeTableRecord;
  const record = new InodeRecord();
  record.ino = INODE_TABLE_INO;
  record.flags = RecordFlag.Used;
  record.links = 1;
  record.sizeBytes = pageBlocks.length * image.blockBytes;
  record.blocks = pageBlocks.length;
  record.birthtimeMs = superblock.createdMs;
  record.mtimeMs = superblock.writtenMs;
  record.ctimeMs = superblock.writtenMs;
  storeInodeRecord(superblockBuffer.view, at, record);
  writeExtentTree(image, take, INODE_TABLE_INO, extentsOf(pageBlocks), superblockBuffer, at);
  superblock.inodeHighWater = FIRST_FILE_INO + pageBlocks.length * perBlock;
}

function extentsOf(pageBlocks: readonly number[]): ExtentItem[] {
  const extents: ExtentItem[] = [];
  for (let page = 0; page < pageBlocks.length; page++) {
    const last = extents[extents.length - 1];
    if (last !== undefined && last.block + last.length === pageBlocks[page]) last.length += 1;
    else extents.push({ page, block: pageBlocks[page], length: 1, unwritten: false });
  }
  return extents;
}

/** With the table in its new shape, whose pages are all sound. Returns how many. */
function clearLostRecords(image: StoreImage, buffer: BlockBuffer, repaired: string[]): number {
  const scan = new InodeScan(image, new Findings());
  scan.scan(new Ownership(image.superblock));
  let cleared = 0;
  for (let ino = FIRST_FILE_INO; ino < scan.end; ino++) {
    if (scan.state[ino] !== InodeState.Lost) continue;
    editRecord(image, scan, ino, buffer, (view, at) => clearInodeRecord(view, at));
    repaired.push(`freed inode ${ino}, whose record made no sense`);
    cleared += 1;
  }
  return cleared;
}

/** Changes one record on the device. */
export function editRecord(
  image: StoreImage,
  scan: InodeScan,
  ino: number,
  buffer: BlockBuffer,
  change: (view: DataView, at: number) => void,
): void {
  const block = scan.pageBlocks[inodeTablePage(ino, image.perBlock)];
  image.blocks.read(block, buffer);
  change(buffer.view, inodeRecordOffset(ino, image.perBlock));
  writeMetadata(image, block, buffer);
}

/** Chains all free inodes in rising order, and the deleted ones where their list was wrong. */
export function repairInodeLists(image: StoreImage, found: Inspection, repaired: string[]): void {
  const muted = new Findings();
  const scan = new InodeScan(image, muted);
  scan.scan(new Ownership(image.superblock));
  scan.checkLists();
  const withOrphans = scan.isOrphanListWrong || found.scan.isOrphanListWrong;
  if (!withOrphans && !scan.isFreeListWrong && !scan.isWorkWrong) return;
  const heads = new Map<InodeState, number>([
    [InodeState.Free, 0],
    [InodeState.Deleted, 0],
  ]);
  const buffer = image.buffer();
  for (let page = scan.pageBlocks.length - 1; page >= 0; page--) {
    const block = scan.pageBlocks[page];
    if (!image.readMetadata(block, BlockKind.Inodes, INODE_TABLE_INO, buffer, muted)) continue;
    if (chainPage(image, scan, page, buffer, heads, withOrphans)) writeMetadata(image, block, buffer);
  }
  image.superblock.inodeFreeHead = heads.get(InodeState.Free)!;
  repaired.push('made the list of free inodes anew');
  if (scan.isWorkWrong) repaired.push('removed unfinished work from inodes that it is not to be done for');
  if (withOrphans) {
    image.superblock.orphanHead = heads.get(InodeState.Deleted)!;
    repaired.push('made the list of deleted inodes anew');
  }
}

/** Puts the page's inodes before the heads; whether that changed a record. */
function chainPage(
  image: StoreImage,
  scan: InodeScan,
  page: number,
  buffer: BlockBuffer,
  heads: Map<InodeState, number>,
  withOrphans: boolean,
): boolean {
  const { perBlock } = image;
  const first = firstInodeOfPage(page, perBlock);
  let isChanged = false;
  for (let ino = Math.min(first + perBlock, scan.end) - 1; ino >= first; ino--) {
    const state = scan.state[ino];
    const isWorkless = scan.work[ino] === WorkState.Wrong || scan.orphaned[ino] === 0 || withOrphans;
    if (scan.work[ino] !== WorkState.None && isWorkless) {
      clearWork(buffer.view, inodeRecordOffset(ino, perBlock));
      isChanged = true;
    }
    const isChained = state === InodeState.Free || (state === InodeState.Deleted && withOrphans);
    const isStray = state === InodeState.Used && withOrphans;
    if (!isChained && !isStray) continue;
    const at = inodeRecordOffset(ino, perBlock) + InodeAt.Next;
    const next = isChained ? heads.get(state)! : 0;
    if (isChained) heads.set(state, ino);
    if (buffer.view.getUint32(at, true) === next) continue;
    buffer.view.setUint32(at, next, true);
    isChanged = true;
  }
  return isChanged;
}
