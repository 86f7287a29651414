/**
 * Repairs files: extent trees with damage are written anew from their sound extents, and records are made to say what the
 * trees hold.
 */
import {
  InodeRecord,
  inodeRecordOffset,
  loadInodeRecord,
  RecordFlag,
  setTreeBlocks,
  storeInodeRecord,
} from '../../format/inode-record.js';
import type { BlockBuffer } from '../device-blocks.js';
import type { ExtentVisitor } from './extent-walk.js';
import { FileDamage, FileWalk } from './file-walk.js';
import { Findings } from './findings.js';
import { InodeScan, InodeState } from './inode-scan.js';
import type { Inspection } from './inspection.js';
import { NameWalk } from './name-walk.js';
import { Ownership } from './ownership.js';
import { editRecord } from './repair-inodes.js';
import type { StoreImage } from './store-image.js';
import { type ExtentItem, type TakeBlock, writeExtentTree } from './tree-writer.js';

/** Returns the inodes that have no name, in rising order. The inode table is sound by now. */
export function repairFiles(image: StoreImage, found: Inspection, take: TakeBlock, repaired: string[]): number[] {
  const muted = new Findings();
  const ownership = new Ownership(image.superblock);
  const scan = new InodeScan(image, muted);
  scan.scan(ownership);
  scan.orphaned.set(found.scan.orphaned.subarray(0, scan.end));
  new NameWalk(image, scan, ownership, muted).walk();

  const walk = new FileWalk(image, scan, ownership, muted);
  const collector = new ExtentCollector(ownership);
  const buffer = image.buffer();
  const nameless: number[] = [];
  const visitorOf = (ino: number): ExtentVisitor | null => {
    collector.extents = [];
    return ((found.files.damaged.get(ino) ?? 0) & FileDamage.Tree) !== 0 ? collector : null;
  };
  walk.walk(visitorOf, (ino) => {
    const damage = walk.damaged.get(ino) ?? 0;
    if ((damage & FileDamage.Nameless) !== 0) nameless.push(ino);
    if ((damage & ~FileDamage.Nameless) === 0) return;
    editRecord(image, scan, ino, buffer, () => {
      const links = scan.state[ino] === InodeState.Deleted && scan.named[ino] === 0 ? 0 : 1;
      fixRecord(image, take, walk, ino, links, damage, collector.extents, buffer);
    });
    const lost = (damage & FileDamage.Tree) !== 0 ? `; of its extents ${collector.extents.length} are left` : '';
    repaired.push(`made the record of inode ${ino} say what it holds${lost}`);
  });
  return nameless;
}

/** Makes the record in `buffer` right, its extent tree first. */
function fixRecord(
  image: StoreImage,
  take: TakeBlock,
  walk: FileWalk,
  ino: number,
  links: number,
  damage: number,
  extents: readonly ExtentItem[],
  buffer: BlockBuffer,
): void {
  const at = inodeRecordOffset(ino, image.perBlock);
  const record = new InodeRecord();
  loadInodeRecord(buffer.view, at, record);
  let { writtenEnd } = walk.tree;
  if ((damage & FileDamage.Tree) !== 0) {
    writeExtentTree(image, take, ino, extents, buffer, at);
    record.blocks = 0;
    writtenEnd = 0;
    for (const { page, length, unwritten } of extents) {
      record.blocks += length;
      if (!unwritten) writtenEnd = page + length;
    }
  } else {
    setTreeBlocks(buffer.view, at, walk.tree.treeBlocks);
    record.blocks = walk.tree.dataBlocks;
  }
  if ((damage & FileDamage.Size) !== 0) {
    record.sizeBytes = Math.max(record.sizeBytes, writtenEnd * image.blockBytes);
  }
  record.links = links;
  record.flags = links === 0 ? RecordFlag.Used | RecordFlag.Deleted : RecordFlag.Used;
  storeInodeRecord(buffer.view, at, record);
}

/** The parts of extents that nobody else owns. */
class ExtentCollector implements ExtentVisitor {
  extents: ExtentItem[] = [];

  constructor(private readonly ownership: Ownership) {}

  extent(page: number, block: number, length: number, unwritten: boolean): void {
    const taken = this.ownership.lastConflicts;
    let from = block;
    for (let i = 0; i <= taken.length; i += 2) {
      const to = i < taken.length ? taken[i] : block + length;
      if (to > from) this.extents.push({ page: page + from - block, block: from, length: to - from, unwritten });
      from = to + taken[i + 1];
    }
  }
}
