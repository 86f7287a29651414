/**
 * Verifies every structure of a store that nobody has open, straight from its device, and repairs it on request.
 *
 * What is verified: both superblocks and the store's state; header, checksum, place and content of every metadata block;
 * extent trees and the name tree in shape and order; that each block has one owner, and that the bitmaps say so; the inode
 * table and its lists; that every file has one name, and every name a file; sizes and counts. Data blocks are not read.
 *
 * One thread, which has the device to itself. Damage and I/O errors are entries of the report; nothing is thrown for
 * them. Memory: a bit a block of the groups in use, a few bytes an inode.
 */
import type { Device } from '../device/device.js';
import { type CheckError, Findings } from './check/findings.js';
import { type CheckCounts, Inspection } from './check/inspection.js';
import { repairStore } from './check/repair.js';
import { loadImage } from './check/superblock-check.js';

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
  /** Null where no superblock was of use. */
  counts: CheckCounts | null;
}

export function checkDevice(device: Device, options: CheckOptions = {}): CheckReport {
  const findings = new Findings();
  const image = loadImage(device, findings);
  if (image === null) return reportOf(findings, null, []);
  const inspection = new Inspection(image, findings);
  const counts = inspection.counts(image);
  if (options.repair !== true || findings.count === 0) return reportOf(findings, counts, []);

  const repaired: string[] = [];
  const failed = repairStore(image, inspection, repaired, options.now ?? Date.now());
  const left = checkDevice(device);
  if (failed !== null) {
    left.errors.unshift({ code: 'REPAIR', message: `the repair was cut short: ${failed}` });
    left.clean = false;
  }
  return { ...left, repaired: [...findings.errors.map((error) => `found: ${error.message}`), ...repaired] };
}

function reportOf(findings: Findings, counts: CheckCounts | null, repaired: string[]): CheckReport {
  return { clean: findings.count === 0, errors: findings.errors, errorsOmitted: findings.omitted, repaired, counts };
}
