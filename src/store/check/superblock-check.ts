/**
 * The two superblocks: which one a check goes by, and what is wrong with either.
 *
 * The first is refreshed by every checkpoint, the copy only when the store's state changes. So a copy that says "clean" is as
 * good as the first; one that says "open" tells the geometry, but its roots may be old.
 */
import type { Device } from '../../device/device.js';
import { StoreError } from '../../errors.js';
import { geometryFor, SUPERBLOCK_BLOCK, superblockCopyBlock } from '../../format/geometry.js';
import {
  DiskState,
  readSuperblock,
  SUPERBLOCK_BYTES,
  type Superblock,
  SuperblockAt,
  validateSuperblock,
  verifySuperblock,
} from '../../format/superblock.js';
import { MAX_BLOCK_BYTES, MIN_BLOCK_BYTES } from '../../units.js';
import { BlockBuffer, DeviceBlocks } from '../device-blocks.js';
import type { Findings } from './findings.js';
import { StoreImage } from './store-image.js';

/** The image to check, or null after findings where no superblock is of use. `isRecovered`: its journal was replayed. */
export function loadImage(device: Device, findings: Findings, isRecovered = false): StoreImage | null {
  const first = new BlockBuffer(SUPERBLOCK_BYTES);
  const wrong = readAt(device, first, 0) ?? verifySuperblock(first.bytes, SUPERBLOCK_BLOCK);
  if (wrong !== null) {
    findings.add('SUPERBLOCK', `superblock at block 0: ${wrong}`, { block: SUPERBLOCK_BLOCK });
    return imageFromCopy(device, findings);
  }
  const superblock = readSuperblock(first.view);
  const problem = validateSuperblock(superblock, device.sizeBytes);
  if (problem !== null) {
    findings.add('SUPERBLOCK', `superblock at block 0: ${problem}`, { block: SUPERBLOCK_BLOCK });
    return null;
  }
  const image = imageOf(device, superblock, first);
  addState(superblock, findings, isRecovered);
  checkCopy(image, findings);
  return image;
}

/** Why the copy is not what the first superblock says, or null. A copy that is only older while the store is open is good. */
function checkCopy(image: StoreImage, findings: Findings): void {
  const { superblock } = image;
  const block = superblockCopyBlock(superblock);
  const copy = new BlockBuffer(SUPERBLOCK_BYTES);
  let wrong = readAt(image.blocks.device, copy, block * superblock.blockBytes) ?? verifySuperblock(copy.bytes, block);
  if (wrong === null && !isSameStore(readSuperblock(copy.view), superblock)) wrong = 'it is of another store';
  if (wrong === null && superblock.state === DiskState.Clean && !isSameContent(copy, image.superblockBuffer)) {
    wrong = 'it differs from the first one';
  }
  if (wrong !== null) findings.add('SUPERBLOCK_COPY', `superblock copy at block ${block}: ${wrong}`, { block });
}

function isSameStore(a: Superblock, b: Superblock): boolean {
  return (
    a.uuid.every((byte, i) => byte === b.uuid[i]) &&
    a.blockBytes === b.blockBytes &&
    a.blocks === b.blocks &&
    a.blocksPerGroup === b.blocksPerGroup &&
    a.journalStart === b.journalStart &&
    a.journalBlocks === b.journalBlocks
  );
}

/** Equal but for what each copy has of its own. */
function isSameContent(a: BlockBuffer, b: BlockBuffer): boolean {
  const own = [SuperblockAt.Checksum, SuperblockAt.Block, SuperblockAt.WrittenMs, SuperblockAt.WrittenMs + 4];
  for (let at = 0; at < SUPERBLOCK_BYTES; at += 4) {
    const isOwn = own.includes(at) || at === SuperblockAt.Transaction || at === SuperblockAt.Transaction + 4;
    if (!isOwn && a.words[at / 4] !== b.words[at / 4]) return false;
  }
  return true;
}

/** Looks where copies lie on a device of this size, whatever the block size. */
function imageFromCopy(device: Device, findings: Findings): StoreImage | null {
  const copy = new BlockBuffer(SUPERBLOCK_BYTES);
  for (let blockBytes = MIN_BLOCK_BYTES; blockBytes <= MAX_BLOCK_BYTES; blockBytes *= 2) {
    const geometry = geometryFor(device.sizeBytes, blockBytes);
    if (geometry === null) break;
    for (const block of new Set([superblockCopyBlock(geometry), Math.floor(device.sizeBytes / blockBytes) - 1])) {
      if (readAt(device, copy, block * blockBytes) !== null || verifySuperblock(copy.bytes, block) !== null) continue;
      const superblock = readSuperblock(copy.view);
      if (superblock.blockBytes !== blockBytes || validateSuperblock(superblock, device.sizeBytes) !== null) continue;
      if (superblock.state === DiskState.Clean) return imageOf(device, superblock, copy);
      const message = `superblock copy at block ${block}: the store was not closed after it was written, so it may be old`;
      findings.add('SUPERBLOCK_COPY', message, { block });
      return null;
    }
  }
  findings.add('SUPERBLOCK', 'no copy of the superblock was found at the end of the device');
  return null;
}

function imageOf(device: Device, superblock: Superblock, found: BlockBuffer): StoreImage {
  const buffer = new BlockBuffer(superblock.blockBytes);
  buffer.bytes.set(found.bytes.subarray(0, SUPERBLOCK_BYTES));
  return new StoreImage(new DeviceBlocks(device, superblock.blockBytes), superblock, buffer);
}

function addState(superblock: Superblock, findings: Findings, isRecovered: boolean): void {
  if (superblock.state === DiskState.Open && !isRecovered) findings.add('UNCLEAN', 'the store was not closed properly');
  if (superblock.state === DiskState.Error) findings.add('ERROR_STATE', 'an error was found while the store was open');
}

/** Why the bytes at `positionBytes` cannot be read, or null. */
function readAt(device: Device, into: BlockBuffer, positionBytes: number): string | null {
  if (positionBytes + into.bytes.length > device.sizeBytes) return `the device has only ${device.sizeBytes} bytes`;
  try {
    const done = device.read([into.bytes], positionBytes);
    return done < into.bytes.length ? `only ${done} bytes could be read` : null;
  } catch (error) {
    if (error instanceof StoreError) return error.message;
    throw error;
  }
}
