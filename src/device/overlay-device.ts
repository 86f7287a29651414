/**
 * A device whose writes stay in memory: what recovery writes to when the device below must not be touched.
 *
 * One thread fills it. `share` then gives the written pieces as shared memory, from which other threads make overlays of
 * their own; those only read. Flushes and discards do nothing.
 */
import { StoreError } from '../errors.js';
import type { Device } from './device.js';

/** Unit of writes: blocks are multiples of it. */
const PIECE_BYTES = 4096;

/** The pieces as structured-cloneable data: their numbers in rising order, and their bytes one after the other. */
export interface OverlayPieces {
  numbers: SharedArrayBuffer;
  bytes: SharedArrayBuffer;
}

export class OverlayDevice implements Device {
  readonly readOnly: boolean;
  readonly canDiscard = false;
  private readonly pieces = new Map<number, Uint8Array>();

  /** `readOnly`: further writes are refused, as on the device below. */
  constructor(
    readonly below: Device,
    pieces?: OverlayPieces,
  ) {
    this.readOnly = pieces !== undefined;
    if (pieces === undefined) return;
    const numbers = new Float64Array(pieces.numbers);
    const bytes = new Uint8Array(pieces.bytes);
    for (let i = 0; i < numbers.length; i++) {
      this.pieces.set(numbers[i], bytes.subarray(i * PIECE_BYTES, (i + 1) * PIECE_BYTES));
    }
  }

  get sizeBytes(): number {
    return this.below.sizeBytes;
  }

  get io(): 'direct' | 'buffered' {
    return this.below.io;
  }

  /** Bytes that differ from the device below, in whole pieces. */
  get writtenBytes(): number {
    return this.pieces.size * PIECE_BYTES;
  }

  share(): OverlayPieces {
    const order = [...this.pieces.keys()].sort((a, b) => a - b);
    const numbers = new SharedArrayBuffer(order.length * 8);
    const bytes = new SharedArrayBuffer(order.length * PIECE_BYTES);
    new Float64Array(numbers).set(order);
    const target = new Uint8Array(bytes);
    for (let i = 0; i < order.length; i++) target.set(this.pieces.get(order[i])!, i * PIECE_BYTES);
    return { numbers, bytes };
  }

  read(buffers: Uint8Array[], positionBytes: number): number {
    const done = this.below.read(buffers, positionBytes);
    if (this.pieces.size === 0) return done;
    let position = positionBytes;
    let left = done;
    for (const buffer of buffers) {
      const length = Math.min(buffer.length, left);
      if (length > 0) this.patch(buffer, length, position);
      position += length;
      left -= length;
    }
    return done;
  }

  write(buffers: Uint8Array[], positionBytes: number): number {
    if (this.readOnly) throw new StoreError('EROFS', { syscall: 'write' });
    let position = positionBytes;
    for (const buffer of buffers) {
      for (let at = 0; at < buffer.length; at += PIECE_BYTES) {
        this.pieces.set((position + at) / PIECE_BYTES, buffer.slice(at, at + PIECE_BYTES));
      }
      position += buffer.length;
    }
    return position - positionBytes;
  }

  flush(): void {}

  discard(): void {}

  private patch(buffer: Uint8Array, length: number, position: number): void {
    const end = position + length;
    for (let piece = Math.floor(position / PIECE_BYTES); piece * PIECE_BYTES < end; piece++) {
      const bytes = this.pieces.get(piece);
      if (bytes === undefined) continue;
      const from = Math.max(position, piece * PIECE_BYTES);
      const to = Math.min(end, (piece + 1) * PIECE_BYTES);
      buffer.set(bytes.subarray(from - piece * PIECE_BYTES, to - piece * PIECE_BYTES), from - position);
    }
  }
}
