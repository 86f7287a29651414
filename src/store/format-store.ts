/**
 * Lays an empty store out on a device.
 */
import type { Device } from '../device/device.js';

export interface FormatOptions {
  /** A power of two from 4096 to 65536. */
  blockBytes: number;
  /** At most 64 bytes of UTF-8. */
  label: string;
  dataChecksums: boolean;
  /** Size of the journal's region; by default a 64th of the device, 64 blocks to 64 MiB. */
  journalBytes?: number;
  /** Milliseconds since the epoch. */
  now: number;
  /** 16 bytes. */
  uuid: Uint8Array;
}

/** Throws EINVAL (too small, no multiple of the block), EFBIG (too many blocks), ENOTSUP (data checksums), and the device's errors. */
export function formatDevice(_device: Device, _options: FormatOptions): void {
  throw new Error('not written yet');
}
