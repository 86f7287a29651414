/**
 * What the host says about a block special file, from sysfs: `fstat` gives a size of 0 and no sector size.
 *
 * Looked up by device number, so that partitions, device-mapper names and symbolic links need no care.
 */
import { readFileSync, type Stats } from 'node:fs';
import { StoreError } from '../errors.js';

const SYSFS_SECTOR_BYTES = 512;

export interface BlockAttributes {
  sizeBytes: number;
  /** Logical sector: the unit of direct I/O. */
  sectorBytes: number;
  /** The host refuses writes to the device. */
  readOnly: boolean;
  /** The device can deallocate ranges so that they read as zeros. */
  deallocates: boolean;
}

/** `major:minor` of a device number as Linux encodes it for programs. */
export function deviceNumber(rdev: number): string {
  const bits = BigInt(rdev);
  const major = ((bits >> 8n) & 0xfffn) | ((bits >> 32n) & 0xfffff000n);
  const minor = (bits & 0xffn) | ((bits >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}

export function readBlockAttributes(stat: Stats, path: string): BlockAttributes {
  const directory = `/sys/dev/block/${deviceNumber(stat.rdev)}`;
  const sectors = readNumber(`${directory}/size`);
  if (sectors === null) {
    throw new StoreError('EIO', { syscall: 'open', path, detail: `no size of this block device in ${directory}` });
  }
  // A partition has no queue of its own: its disk is the directory above the one that the link leads to.
  const queue = (name: string): number | null =>
    readNumber(`${directory}/queue/${name}`) ?? readNumber(`${directory}/../queue/${name}`);
  return {
    sizeBytes: sectors * SYSFS_SECTOR_BYTES,
    sectorBytes: queue('logical_block_size') ?? SYSFS_SECTOR_BYTES,
    readOnly: readNumber(`${directory}/ro`) === 1,
    deallocates: (queue('write_zeroes_max_bytes') ?? 0) > 0 && (queue('discard_max_bytes') ?? 0) > 0,
  };
}

function readNumber(path: string): number | null {
  try {
    const value = Number(readFileSync(path, 'utf8').trim());
    return Number.isFinite(value) ? value : null;
  } catch {
    return null;
  }
}
