/**
 * Verifies every structure of a store that nobody has open, straight from its device, and repairs it on request.
 *
 * A store that was not closed is recovered first, and what its journal makes of it is checked: in memory, but for a repair.
 *
 * What is verified: both superblocks and the store's state; header, checksum, place and content of every metadata block;
 * extent trees and the name tree in shape and order; that each block has one owner, and that the bitmaps say so; the inode
 * table and its lists; that every file has one name, and every name a file; sizes and counts. Data blocks are read where they
 * have checksums, and not otherwise.
 *
 * One thread, which has the device to itself. Damage and I/O errors are entries of the report; nothing is thrown for
 * them. Memory: a bit a block of the groups in use, a few bytes an inode.
 */
import type { Device } from '../device/device.js';
import { StoreError } from '../errors.js';
import { DiskState } from '../format/superblock.js';
import { JOURNAL_DAMAGED } from '../journal/recovery.js';
import { type CheckError, Findings } from './check/findings.js';
import { type CheckCounts, Inspection } from './check/inspection.js';
import { repairStore } from './check/repair.js';
import { loadImage } from './check/superblock-check.js';
import { type RecoveredStore, recoverStore } from './recover-store.js';

export type { CheckCode, CheckError } from './check/findings.js';
export type { CheckCounts } from './check/inspection.js';

export interface CheckOptions {
  /** Puts right what can be put right without guessing at content, and marks the store clean. */
  repair?: boolean;
  /** Milliseconds since the epoch, for the superblock that a repair writes. */
  now?: number;
}

export interface CheckReport {
  /** No errors; after a repair: none are left. */
  clean: boolean;
  /** Each with a stable `code`, and the block, inode or name that it is about. After a repair: what is left. */
  errors: CheckError[];
  /** Errors beyond those listed. */
  errorsOmitted: number;
  /** What a repair found, and what it did, a line each. Empty without `repair`, or when there was nothing to do. */
  repaired: string[];
  /** Transactions that the journal held because the store was not closed: replayed, in memory only without `repair`. */
  replayed: number;
  /** Null where no superblock was of use. */
  counts: CheckCounts | null;
}

export function checkDevice(device: Device, options: CheckOptions = {}): CheckReport {
  const findings = new Findings();
  const now = options.now ?? Date.now();
  const repair = options.repair === true;
  const recovered = recoverInto(device, findings, now, repair);
  const replayed = recovered?.recovery.transactions ?? 0;
  const image = loadImage(recovered?.device ?? device, findings, recovered !== null);
  if (image === null) return { ...reportOf(findings, null), replayed };
  const inspection = new Inspection(image, findings);
  inspection.checkData(image, findings);
  const counts = inspection.counts(image);
  const isClosed = image.superblock.state === DiskState.Clean;
  if (!repair || (findings.count === 0 && isClosed)) return { ...reportOf(findings, counts), replayed };

  const repaired: string[] = [];
  if (replayed > 0) repaired.push(`replayed ${replayed} transactions of the journal`);
  const failed = repairStore(image, inspection, findings, repaired, now);
  const left = checkDevice(device);
  if (failed !== null) {
    left.errors.unshift({ code: 'REPAIR', message: `there is no repair, or none to its end: ${failed}` });
    left.clean = false;
  }
  const found = findings.errors.map((error) => `found: ${error.message}`);
  return { ...left, replayed, repaired: [...found, ...repaired] };
}

/** The store as its journal makes it, in memory unless it is being repaired; null, with findings, where it cannot. */
function recoverInto(device: Device, findings: Findings, now: number, repair: boolean): RecoveredStore | null {
  try {
    return recoverStore(device, now, !repair || device.readOnly);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    if (error.cause === JOURNAL_DAMAGED) findings.add('JOURNAL', error.message);
    return null;
  }
}

function reportOf(findings: Findings, counts: CheckCounts | null): CheckReport {
  const { errors, omitted, count } = findings;
  return { clean: count === 0, errors, errorsOmitted: omitted, repaired: [], replayed: 0, counts };
}
