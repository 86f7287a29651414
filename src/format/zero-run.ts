/**
 * What becomes of a CRC-32 over zeros that follow, worked out without reading them.
 *
 * A CRC's register depends linearly, over GF(2), on what it was before: over a run of zeros of a given length each of its
 * 32 bits turns into a fixed pattern, and the register into the sum of its bits' patterns (zlib's `crc32_combine`). Four
 * tables of 256 sums do for one length. So mostly empty blocks need not be read to be summed, and a sum that is known from
 * one seed need not be made again from another.
 *
 * Tables are made once a length and thread; otherwise no state. Any thread.
 */
import { crc32 } from 'node:zlib';

const TABLES = 4;
const SUMS = 256;
const runs = new Map<number, ZeroRun>();

/** Of `lengthBytes` zeros. */
export function zeroRun(lengthBytes: number): ZeroRun {
  let run = runs.get(lengthBytes);
  if (run === undefined) {
    run = new ZeroRun(lengthBytes);
    runs.set(lengthBytes, run);
  }
  return run;
}

export class ZeroRun {
  private readonly sums = new Uint32Array(TABLES * SUMS);

  constructor(lengthBytes: number) {
    const zeros = new Uint8Array(lengthBytes);
    const { sums } = this;
    const ofNothing = crc32(zeros, 0);
    for (let bit = 0; bit < 32; bit++) {
      const pattern = crc32(zeros, 2 ** bit) ^ ofNothing;
      const table = (bit >>> 3) * SUMS;
      const low = 1 << (bit & 7);
      for (let i = 0; i < low; i++) sums[table + low + i] = sums[table + i] ^ pattern;
    }
  }

  /** A register's value, or the difference of two, after the zeros. */
  register(value: number): number {
    const { sums } = this;
    return (
      (sums[value & 0xff] ^
        sums[SUMS + ((value >>> 8) & 0xff)] ^
        sums[2 * SUMS + ((value >>> 16) & 0xff)] ^
        sums[3 * SUMS + (value >>> 24)]) >>>
      0
    );
  }

  /** The CRC-32 of what has the CRC-32 `sum`, followed by the zeros. */
  checksum(sum: number): number {
    return ~this.register(~sum) >>> 0;
  }
}
