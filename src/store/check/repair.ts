/**
 * Puts a store right from the parts of it that verify.
 *
 * The order keeps what is sound reachable at any time: the store is marked as in error; the inode table, files and names
 * are put right, new tree nodes going to blocks that nobody owns; then the store is inspected again, and bitmaps and
 * counters are written from what that found; last comes the superblock, which makes new roots count and says "clean". What
 * is on the orphan list is then done as opening the store does it. A repair cut short leaves a store that another repair can
 * take up, or the next opening.
 *
 * Lost for good is what no sound block tells: an inode record in a damaged block, extents below a damaged node (their
 * pages become holes), and of two owners of a block the second.
 */
import { StoreError } from '../../errors.js';
import { BlockKind, HeaderAt, sealBlock, writeHeader } from '../../format/block-header.js';
import { bitmapBlock, SUPERBLOCK_BLOCK, superblockCopyBlock } from '../../format/geometry.js';
import { DiskState, mustOpenReadOnly, SuperblockAt, sealSuperblock, writeSuperblock } from '../../format/superblock.js';
import { discardLog } from '../../journal/recovery.js';
import { DeviceEffects, runOnDevice } from '../../routine/device-effects.js';
import type { BlockBuffer } from '../device-blocks.js';
import { logShapeOf } from '../recover-store.js';
import { Findings } from './findings.js';
import { finishOrphans } from './finish-orphans.js';
import { Inspection } from './inspection.js';
import { repairChecksums } from './repair-checksums.js';
import { repairFiles } from './repair-files.js';
import { repairInodeLists, repairInodeTable } from './repair-inodes.js';
import { repairNames } from './repair-names.js';
import type { StoreImage } from './store-image.js';
import type { TakeBlock } from './tree-writer.js';

/** Appends what it did to `repaired`; returns why it stopped, or null when it went through. */
export function repairStore(
  image: StoreImage,
  found: Inspection,
  findings: Findings,
  repaired: string[],
  now: number,
): string | null {
  if (mustOpenReadOnly(image.superblock)) return 'the store has features that must not be written to';
  try {
    if (findings.count === 0) {
      finish(image, repaired, now);
      return null;
    }
    writeState(image, DiskState.Error, now);
    if (findings.errors.some(({ code }) => code === 'JOURNAL')) discardJournal(image, repaired, now);
    const isTableNew = repairInodeTable(image, found.scan, takerOf(image, found), repaired);
    // What the table wrongly claimed is free to its owners again, and to be taken.
    const sound = isTableNew ? new Inspection(image, new Findings()) : found;
    const take = takerOf(image, sound);
    const nameless = repairFiles(image, sound, take, repaired);
    repairNames(image, nameless, take, repaired);
    repairInodeLists(image, sound, repaired);
    writeBitmaps(image, repaired);
    finish(image, repaired, now);
    return null;
  } catch (error) {
    if (error instanceof StoreError) return error.message;
    throw error;
  }
}

function finish(image: StoreImage, repaired: string[], now: number): void {
  if (image.superblock.orphanHead === 0) {
    writeState(image, DiskState.Clean, now);
  } else {
    writeState(image, DiskState.Open, now);
    finishOrphans(image.blocks.device, image.blockBytes);
    repaired.push('did what was left to do on the orphan list');
  }
  repaired.push('marked the store clean');
}

/** What only the journal held is lost; the structures are put right as they lie on the device. */
function discardJournal(image: StoreImage, repaired: string[], now: number): void {
  runOnDevice(discardLog(new DeviceEffects(), image.blocks.device, logShapeOf(image.superblock), now));
  repaired.push('discarded the journal');
}

/** Takes blocks that nobody owned when the store was inspected, first from groups that have a bitmap. */
function takerOf(image: StoreImage, found: Inspection): TakeBlock {
  const { superblock } = image;
  return () => {
    for (; ; superblock.groupsInitialised++) {
      const block = found.ownership.take(superblock.groupsInitialised);
      if (block !== 0) return block;
      if (superblock.groupsInitialised >= superblock.groups) break;
    }
    throw new StoreError('ENOSPC', { syscall: 'check', detail: 'no free block for a rebuilt tree' });
  };
}

function writeBitmaps(image: StoreImage, repaired: string[]): void {
  const { superblock } = image;
  const now = new Inspection(image, new Findings());
  const initialised = Math.max(superblock.groupsInitialised, now.ownership.groupsUsed);
  const wrong = new Set(now.bitmaps.wrongGroups);
  const checksums = superblock.dataChecksums ? repairChecksums(image, repaired) : null;
  const buffer = image.buffer();
  for (let group = 0; group < initialised; group++) {
    const tables = checksums === null ? 0 : checksums.wanted[group];
    const isRight = !wrong.has(group) && (checksums === null || checksums.made[group] === tables);
    if (group < superblock.groupsInitialised && isRight) continue;
    writeBitmap(image, group, now.ownership.group(group), tables, buffer);
    repaired.push(`wrote the bitmap of group ${group}`);
  }
  superblock.groupsInitialised = initialised;
  superblock.blocksFree = now.bitmaps.blocksFree;
  superblock.files = now.names.names;
}

function writeBitmap(image: StoreImage, group: number, words: Uint32Array, tables: number, buffer: BlockBuffer): void {
  const block = bitmapBlock(image.superblock, group);
  buffer.words.set(words);
  writeHeader(buffer.view, 0, BlockKind.Bitmap, block, group);
  buffer.view.setUint32(HeaderAt.Tables, tables, true);
  sealBlock(buffer.bytes, block, image.superblock.transaction % 2 ** 32);
  image.blocks.write(block, buffer);
}

/** Writes both superblocks, what went before being durable by then. The copy goes first: the first one counts. */
function writeState(image: StoreImage, state: DiskState, now: number): void {
  const { superblock, superblockBuffer, blocks } = image;
  if (state === DiskState.Error) {
    // Only the state: roots and counters are still the old ones.
    superblockBuffer.view.setUint32(SuperblockAt.State, state, true);
  } else {
    superblock.state = state;
    writeSuperblock(superblockBuffer.view, 0, superblock);
  }
  blocks.device.flush();
  for (const block of [superblockCopyBlock(superblock), SUPERBLOCK_BLOCK]) {
    sealSuperblock(superblockBuffer.bytes, block, superblock.transaction, now);
    blocks.write(block, superblockBuffer);
    blocks.device.flush();
  }
}
