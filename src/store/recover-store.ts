/**
 * Finds the superblock of a store and brings the store to its last durable transaction: the first thing that opening and
 * checking do, with the device to themselves.
 *
 * The superblock is one of the blocks that checkpoints write, so a power cut may have torn it: then its copy at the store's
 * end tells where the log is, and the log holds the superblock. Where the log does not, the damage has another cause.
 */
import { borrowAligned, returnAligned } from '../device/aligned-memory.js';
import type { Device } from '../device/device.js';
import { OverlayDevice } from '../device/overlay-device.js';
import { corrupt } from '../errors.js';
import { geometryFor, SUPERBLOCK_BLOCK, superblockCopyBlock } from '../format/geometry.js';
import {
  DiskState,
  hasSuperblockMagic,
  mustOpenReadOnly,
  readSuperblock,
  SUPERBLOCK_BYTES,
  type Superblock,
  validateSuperblock,
  verifySuperblock,
  versionProblem,
} from '../format/superblock.js';
import type { LogShape } from '../journal/log-area.js';
import { type Recovery, recover } from '../journal/recovery.js';
import { DeviceEffects, runOnDevice } from '../routine/device-effects.js';
import { MAX_BLOCK_BYTES, MIN_BLOCK_BYTES } from '../units.js';

export interface RecoveredStore {
  /** As it is after recovery. */
  superblock: Superblock;
  recovery: Recovery;
  /** The device, or an overlay over it where recovery had to write and must not. */
  device: Device;
}

/** `inMemory`: the device stays as it is. Throws EUCLEAN for damage that the log does not mend, or damage of the log. */
export function recoverStore(device: Device, now: number, inMemory: boolean): RecoveredStore {
  const found = findSuperblock(device);
  // What must not be written to is recovered in memory, and refused by who wanted to write.
  const overlay = inMemory || mustOpenReadOnly(found.superblock) ? new OverlayDevice(device) : null;
  const shape = logShapeOf(found.superblock);
  const isClean = found.damage === null && found.superblock.state === DiskState.Clean;
  const recovery = runOnDevice(recover(new DeviceEffects(), overlay ?? device, shape, isClean, now));
  const recovered = overlay !== null && overlay.writtenBytes > 0 ? overlay : device;
  return { superblock: loadSuperblock(recovered), recovery, device: recovered };
}

export function logShapeOf(superblock: Superblock): LogShape {
  const { uuid, journalStart, journalBlocks, blockBytes, blocks } = superblock;
  return { start: journalStart, blocks: journalBlocks, blockBytes, uuid, storeBlocks: blocks };
}

/** The superblock at block 0, verified. */
function loadSuperblock(device: Device): Superblock {
  const bytes = readSuperblockAt(device, 0);
  const damage = bytes === null ? 'past the end of the device' : verifySuperblock(bytes, SUPERBLOCK_BLOCK);
  if (damage !== null) throw corrupt('superblock', SUPERBLOCK_BLOCK, damage);
  const superblock = superblockIn(bytes!);
  const refusal = validateSuperblock(superblock, device.sizeBytes);
  if (refusal !== null) throw corrupt('superblock', SUPERBLOCK_BLOCK, refusal);
  return superblock;
}

interface FoundSuperblock {
  superblock: Superblock;
  /** What is wrong with the first one, where this is the copy. */
  damage: string | null;
}

function findSuperblock(device: Device): FoundSuperblock {
  const bytes = readSuperblockAt(device, 0);
  const damage = bytes === null ? 'past the end of the device' : verifySuperblock(bytes, SUPERBLOCK_BLOCK);
  if (damage === null) {
    const superblock = superblockIn(bytes!);
    const version = versionProblem(superblock);
    if (version !== null) throw corrupt('superblock', SUPERBLOCK_BLOCK, version);
    return { superblock: loadSuperblock(device), damage: null };
  }
  const copy = findSuperblockCopy(device);
  if (copy === null) throw corrupt('superblock', SUPERBLOCK_BLOCK, damage);
  return { superblock: copy, damage };
}

/** Looks where copies lie on a device of this size, whatever the block size. */
function findSuperblockCopy(device: Device): Superblock | null {
  for (let blockBytes = MIN_BLOCK_BYTES; blockBytes <= MAX_BLOCK_BYTES; blockBytes *= 2) {
    const geometry = geometryFor(device.sizeBytes, blockBytes);
    if (geometry === null) break;
    for (const block of new Set([superblockCopyBlock(geometry), Math.floor(device.sizeBytes / blockBytes) - 1])) {
      const bytes = readSuperblockAt(device, block * blockBytes);
      if (bytes === null || verifySuperblock(bytes, block) !== null) continue;
      const superblock = superblockIn(bytes);
      if (superblock.blockBytes === blockBytes && validateSuperblock(superblock, device.sizeBytes) === null) {
        return superblock;
      }
    }
  }
  return null;
}

function readSuperblockAt(device: Device, positionBytes: number): Uint8Array | null {
  if (device.sizeBytes < positionBytes + SUPERBLOCK_BYTES) return null;
  const memory = borrowAligned(SUPERBLOCK_BYTES);
  try {
    return device.read([memory], positionBytes) === SUPERBLOCK_BYTES ? memory.slice() : null;
  } finally {
    returnAligned(memory);
  }
}

function superblockIn(bytes: Uint8Array): Superblock {
  return readSuperblock(new DataView(bytes.buffer, bytes.byteOffset, SUPERBLOCK_BYTES));
}

/** Whether the device's front claims to be a store of this engine. */
export function holdsStore(device: Device): boolean {
  const bytes = readSuperblockAt(device, 0);
  return bytes !== null && hasSuperblockMagic(bytes);
}
