/**
 * What `verify` writes and checks: data in units of `verify_interval` bytes, each with a header that says where it belongs,
 * who wrote it and when, and a checksum over the rest. A unit from another place or another file, or one that is half of
 * one write and half of another, is told apart.
 *
 *   0 magic u32 · 4 checksum u32 (over everything from 8 on) · 8 position f64 · 16 generation u32 · 20 thread u32 ·
 *   24 file u32 (checksum of its name) · 28 … pattern
 *
 * Everything is little-endian. The pattern follows from position, generation and thread.
 */
import { crc32 } from 'node:zlib';
import { crc32c } from './crc32c.js';
import type { Verify } from './option-table.js';
import { Random } from './random.js';

const MAGIC = 0x454d5456;
const CHECKED_FROM = 8;
const PATTERN_SEED = 0x0eaf;
export const UNIT_BYTES_MIN = 64;

export interface WrongUnit {
  reason: string;
  /** A read in the middle of a write may look so. */
  mayBeTorn: boolean;
}

/** Writes and checks the units of one file, for one thread. */
export class Stamp {
  private readonly checksum: (bytes: Uint8Array) => number;
  private readonly fileTag: number;
  /** Random words; a unit's pattern is a stretch of it, which costs a copy and not a generator. */
  private readonly pattern: Uint8Array;

  constructor(
    verify: Exclude<Verify, 'none'>,
    readonly unitBytes: number,
    private readonly thread: number,
    file: string,
    /** Holes may appear: a unit of zeros is right too. */
    private readonly holesAllowed: boolean,
  ) {
    this.checksum = verify === 'crc32c' ? crc32c : (bytes) => crc32(bytes);
    this.fileTag = crc32c(Buffer.from(file));
    const words = new Uint32Array(unitBytes / 2);
    const random = new Random(PATTERN_SEED);
    for (let i = 0; i < words.length; i++) words[i] = random.next();
    this.pattern = new Uint8Array(words.buffer);
  }

  /** Fills `bytes`, that will be written at `position`. The first pass over a file is generation 0. */
  write(bytes: Uint8Array, position: number, generation: number): void {
    for (let at = 0; at + this.unitBytes <= bytes.length; at += this.unitBytes) {
      this.writeUnit(bytes.subarray(at, at + this.unitBytes), position + at, generation);
    }
  }

  private writeUnit(unit: Uint8Array, position: number, generation: number): void {
    const view = new DataView(unit.buffer, unit.byteOffset, unit.byteLength);
    const shift = (generation * 61 + this.thread * 17 + (position / this.unitBytes) * 7) % this.unitBytes;
    unit.set(this.pattern.subarray(shift, shift + unit.length));
    view.setUint32(0, MAGIC, true);
    view.setFloat64(8, position, true);
    view.setUint32(16, generation, true);
    view.setUint32(20, this.thread, true);
    view.setUint32(24, this.fileTag, true);
    view.setUint32(4, this.checksum(unit.subarray(CHECKED_FROM)), true);
  }

  /** What is wrong with `bytes` read at `position`, or null. Whole units only. */
  check(bytes: Uint8Array, position: number): WrongUnit | null {
    for (let at = 0; at + this.unitBytes <= bytes.length; at += this.unitBytes) {
      const wrong = this.checkUnit(bytes.subarray(at, at + this.unitBytes), position + at);
      if (wrong !== null) return { ...wrong, reason: `bytes at ${position + at}: ${wrong.reason}` };
    }
    return null;
  }

  private checkUnit(unit: Uint8Array, position: number): WrongUnit | null {
    const view = new DataView(unit.buffer, unit.byteOffset, unit.byteLength);
    if (view.getUint32(0, true) !== MAGIC) {
      const isHole = unit.every((byte) => byte === 0);
      if (isHole && this.holesAllowed) return null;
      return { reason: isHole ? 'zeros where data were written' : 'no stamp', mayBeTorn: this.holesAllowed };
    }
    // Where a unit belongs stands in it whichever write it is of: these two no tearing explains.
    const stampedFor = view.getFloat64(8, true);
    if (stampedFor !== position) return { reason: `stamped for position ${stampedFor}`, mayBeTorn: false };
    if (view.getUint32(24, true) !== this.fileTag) return { reason: 'stamped for another file', mayBeTorn: false };
    if (view.getUint32(4, true) === this.checksum(unit.subarray(CHECKED_FROM))) return null;
    const [generation, thread] = [view.getUint32(16, true), view.getUint32(20, true)];
    return { reason: `checksum of generation ${generation} of thread ${thread} does not match`, mayBeTorn: true };
  }
}

/** Of the first pass over a file, without verify: data no two blocks of which are alike. */
export function fillPattern(bytes: Uint8Array, random: Random): void {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2);
  for (let i = 0; i < words.length; i++) words[i] = random.next();
}
