/** Making a store, and checking one that nobody has open. */
import { randomBytes } from 'node:crypto';
import { existsSync, unlinkSync } from 'node:fs';
import type { Device } from '../device/device.js';
import { openDevice } from '../device/open-device.js';
import { describeSignature, detectSignature } from '../device/signature.js';
import { invalidArgType, StoreError, withPath } from '../errors.js';
import { isNbdUri } from '../nbd/uri.js';
import { checkBytes } from './arguments.js';
import { type CheckReport, checkDevice } from './check.js';
import { formatDevice } from './format-store.js';

const DEFAULT_BLOCK_BYTES = 4096;

export interface CreateOptions {
  /** Size of a regular file that does not exist yet; it is created sparse. */
  sizeBytes?: number;
  /** Block and page size: a power of two from 4096 to 65536. Default 4096. */
  blockBytes?: number;
  /** Format a device that holds something already. Default false: refused with EEXIST. */
  overwrite?: boolean;
  /**
   * Size of the journal, by default a 32nd of the device, at most 64 MiB. At least 80 blocks, or half of a tiny store; at most
   * what the first group has room for, nearly 127 MiB with blocks of 4096 bytes.
   */
  journalBytes?: number;
  /** At most 64 bytes of UTF-8. */
  label?: string;
  /** A checksum per data block, verified whenever it is read. Rewriting a block takes a free one then. Default false. */
  dataChecksums?: boolean;
}

/**
 * Formats a device as an empty store. ENOENT without `sizeBytes` where there is no file, EEXIST where the device holds a
 * store or any known signature and `overwrite` is not set, EINVAL for sizes that cannot be, EBUSY when it is in use.
 */
export async function createStore(path: string, options: CreateOptions = {}): Promise<void> {
  checkPath(path);
  const blockBytes =
    options.blockBytes === undefined ? DEFAULT_BLOCK_BYTES : checkBytes('blockBytes', options.blockBytes);
  const sizeBytes = options.sizeBytes === undefined ? undefined : checkBytes('sizeBytes', options.sizeBytes);
  const journalBytes =
    options.journalBytes === undefined ? undefined : checkBytes('journalBytes', options.journalBytes);
  if (options.label !== undefined && typeof options.label !== 'string') {
    throw invalidArgType('label', 'of type string', options.label);
  }
  const isNew = !isNbdUri(path) && !existsSync(path);
  const device = await openDevice(path, { create: sizeBytes });
  let formatted = false;
  try {
    if (options.overwrite !== true) refuseForeign(path, device);
    if (!isNew && sizeBytes !== undefined && device.sizeBytes !== sizeBytes) device.resize(sizeBytes);
    formatDevice(device, {
      blockBytes,
      label: options.label ?? '',
      dataChecksums: options.dataChecksums === true,
      ...(journalBytes !== undefined && { journalBytes }),
      now: Date.now(),
      uuid: randomBytes(16),
    });
    formatted = true;
  } catch (error) {
    throw withPath(error, 'format', path);
  } finally {
    device.close();
    if (isNew && !formatted) unlinkSync(path);
  }
}

/**
 * Verifies every structure of a store that is not open; with `repair`, mends what it safely can. Damage is reported, not
 * thrown. EBUSY when the store is open, ENOENT, EACCES, EINVAL for what is no store at all.
 */
export async function checkStore(path: string, options: { repair?: boolean } = {}): Promise<CheckReport> {
  checkPath(path);
  const repair = options.repair === true;
  const device = await openDevice(path, { readOnly: !repair });
  try {
    return checkDevice(device, { repair });
  } finally {
    device.close();
  }
}

export function checkPath(path: unknown): asserts path is string {
  if (typeof path !== 'string') throw invalidArgType('path', 'of type string', path);
}

function refuseForeign(path: string, device: Device): void {
  const found = detectSignature(device);
  if (found === null) return;
  throw new StoreError('EEXIST', { syscall: 'format', path, detail: `the device holds ${describeSignature(found)}` });
}
