/**
 * Verifies every structure of a store that nobody has open, straight from its device; repairs it on request.
 */
import type { Device } from '../device/device.js';

export interface CheckOptions {
  repair?: boolean;
}

export interface CheckError {
  code: string;
  message: string;
  block?: number;
  ino?: number;
  name?: string;
}

export interface CheckReport {
  clean: boolean;
  errors: CheckError[];
  /** Errors found beyond those listed. */
  errorsOmitted: number;
  /** What a repair changed, a line each. Empty without `repair`. */
  repaired: string[];
  counts: {
    blocks: number;
    blocksFree: number;
    files: number;
    inodes: number;
    extents: number;
    extentBlocks: number;
    nameBlocks: number;
    dataBlocks: number;
  };
}

export function checkDevice(_device: Device, _options: CheckOptions = {}): CheckReport {
  throw new Error('not written yet');
}
