/**
 * An inode's 256-byte record, and where records lie: ino 1 (the inode table itself) in the superblock, ino i ≥ 2 in a
 * block of the inode table, after the block's header.
 *
 * A record has two parts with different owners. The attributes (`loadInodeRecord`, `storeInodeRecord`) belong to the
 * inode table. The tree's root (level, count, entries, tree blocks) belongs to the extent map, under the inode's map
 * lock; storing attributes leaves it alone. Root entries are those of an extent node (extent-node.ts).
 */
import { MAX_FILE_PAGES } from '../units.js';
import { HEADER_BYTES } from './block-header.js';
import { getUint53, setUint53 } from './uint53.js';

/** Byte offsets in the record. */
export const enum InodeAt {
  Ino = 0,
  Generation = 4,
  Flags = 8,
  Links = 12,
  Size = 16,
  Blocks = 24,
  TreeBlocks = 28,
  MtimeMs = 32,
  CtimeMs = 40,
  BirthtimeMs = 48,
  /** Next inode of the free list, or of the orphan list; 0 ends it. */
  Next = 56,
  RootLevel = 60,
  RootCount = 62,
  RootEntries = 64,
  /** WORKS of unfinished work. */
  Work = 208,
  End = 256,
}

/** Byte offsets in an entry of unfinished work. */
export const enum WorkAt {
  Kind = 0,
  First = 4,
  Limit = 8,
  Resume = 12,
  End = 16,
}

/** Changes of one inode's extents that may be under way at once, each of other pages. */
export const WORKS = 3;

/** What takes several transactions, and is finished after a crash. Pages are those of [first, end). */
export const enum WorkKind {
  None = 0,
  /** They become holes: a punch, or a truncation to a smaller size, which is in the record already. */
  Remove = 1,
  /** They become unwritten. */
  Unwrite = 2,
  /** They go, and all pages behind them move down to `first`. */
  Collapse = 3,
  /** All pages from `first` on move up, to `end`. */
  Insert = 4,
}

export interface Work {
  kind: WorkKind;
  first: number;
  end: number;
  /** Of a move under way: the page at which it goes on, plus one; 0 before its first step. */
  resume: number;
}

export const INODE_RECORD_BYTES = 256;
/** Entries in the root of an extent tree. */
export const ROOT_CAPACITY = 12;
/** The inode table itself; its record is in the superblock. */
export const INODE_TABLE_INO = 1;
export const FIRST_FILE_INO = 2;

/** Bits of `flags`. */
export const enum RecordFlag {
  /** The record is an inode, not a free one. */
  Used = 1,
  /** No name is left; the inode is on the orphan list and freed at the last close or the next open. */
  Deleted = 2,
}

/** The attributes of a record, decoded. Reuse one object. */
export class InodeRecord {
  ino = 0;
  generation = 0;
  flags = 0;
  links = 0;
  sizeBytes = 0;
  /** Data blocks, unwritten ones included; tree blocks not. */
  blocks = 0;
  mtimeMs = 0;
  ctimeMs = 0;
  birthtimeMs = 0;
  next = 0;
}

export function inodesPerBlock(blockBytes: number): number {
  return Math.floor((blockBytes - HEADER_BYTES) / INODE_RECORD_BYTES);
}

/** Page of the inode table that holds the record of `ino` ≥ 2. */
export function inodeTablePage(ino: number, perBlock: number): number {
  return Math.floor((ino - FIRST_FILE_INO) / perBlock);
}

/** Byte offset of the record of `ino` ≥ 2 in its block. */
export function inodeRecordOffset(ino: number, perBlock: number): number {
  return HEADER_BYTES + ((ino - FIRST_FILE_INO) % perBlock) * INODE_RECORD_BYTES;
}

/** The first inode whose record is in page `page` of the inode table. */
export function firstInodeOfPage(page: number, perBlock: number): number {
  return FIRST_FILE_INO + page * perBlock;
}

export function loadInodeRecord(view: DataView, at: number, record: InodeRecord): void {
  record.ino = view.getUint32(at + InodeAt.Ino, true);
  record.generation = view.getUint32(at + InodeAt.Generation, true);
  record.flags = view.getUint32(at + InodeAt.Flags, true);
  record.links = view.getUint32(at + InodeAt.Links, true);
  record.sizeBytes = getUint53(view, at + InodeAt.Size);
  record.blocks = view.getUint32(at + InodeAt.Blocks, true);
  record.mtimeMs = view.getFloat64(at + InodeAt.MtimeMs, true);
  record.ctimeMs = view.getFloat64(at + InodeAt.CtimeMs, true);
  record.birthtimeMs = view.getFloat64(at + InodeAt.BirthtimeMs, true);
  record.next = view.getUint32(at + InodeAt.Next, true);
}

export function storeInodeRecord(view: DataView, at: number, record: InodeRecord): void {
  view.setUint32(at + InodeAt.Ino, record.ino, true);
  view.setUint32(at + InodeAt.Generation, record.generation, true);
  view.setUint32(at + InodeAt.Flags, record.flags, true);
  view.setUint32(at + InodeAt.Links, record.links, true);
  setUint53(view, at + InodeAt.Size, record.sizeBytes);
  view.setUint32(at + InodeAt.Blocks, record.blocks, true);
  view.setFloat64(at + InodeAt.MtimeMs, record.mtimeMs, true);
  view.setFloat64(at + InodeAt.CtimeMs, record.ctimeMs, true);
  view.setFloat64(at + InodeAt.BirthtimeMs, record.birthtimeMs, true);
  view.setUint32(at + InodeAt.Next, record.next, true);
}

export function loadWork(view: DataView, at: number, index: number): Work {
  const work = at + InodeAt.Work + index * WorkAt.End;
  return {
    kind: view.getUint32(work + WorkAt.Kind, true),
    first: view.getUint32(work + WorkAt.First, true),
    end: view.getUint32(work + WorkAt.Limit, true),
    resume: view.getUint32(work + WorkAt.Resume, true),
  };
}

/** Whether it can be what somebody left: a kind, and a range of pages. */
export function isWorkSound({ kind, first, end }: Work): boolean {
  return kind >= WorkKind.Remove && kind <= WorkKind.Insert && first < end && end <= MAX_FILE_PAGES;
}

export function storeWork(view: DataView, at: number, index: number, { kind, first, end, resume }: Work): void {
  const work = at + InodeAt.Work + index * WorkAt.End;
  view.setUint32(work + WorkAt.Kind, kind, true);
  view.setUint32(work + WorkAt.First, first, true);
  view.setUint32(work + WorkAt.Limit, end, true);
  view.setUint32(work + WorkAt.Resume, resume, true);
}

/** Nothing is left to be done. */
export function clearWork(view: DataView, at: number): void {
  for (let i = InodeAt.Work; i < InodeAt.Work + WORKS * WorkAt.End; i += 4) view.setUint32(at + i, 0, true);
}

/** Zeroes a record: a free one, with an empty tree. */
export function clearInodeRecord(view: DataView, at: number): void {
  for (let i = 0; i < INODE_RECORD_BYTES; i += 4) view.setUint32(at + i, 0, true);
}

/** 0: the root's entries are extents. Above: they are child nodes of level one less. */
export function rootLevel(view: DataView, at: number): number {
  return view.getUint16(at + InodeAt.RootLevel, true);
}

export function rootCount(view: DataView, at: number): number {
  return view.getUint16(at + InodeAt.RootCount, true);
}

export function setRoot(view: DataView, at: number, level: number, count: number): void {
  view.setUint16(at + InodeAt.RootLevel, level, true);
  view.setUint16(at + InodeAt.RootCount, count, true);
}

export function treeBlocks(view: DataView, at: number): number {
  return view.getUint32(at + InodeAt.TreeBlocks, true);
}

export function setTreeBlocks(view: DataView, at: number, blocks: number): void {
  view.setUint32(at + InodeAt.TreeBlocks, blocks, true);
}

/** Word of the first root entry, for the record at byte `at` of a buffer that is seen as words. */
export function rootEntriesWord(at: number): number {
  return (at + InodeAt.RootEntries) / 4;
}
