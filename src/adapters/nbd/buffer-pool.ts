/**
 * Buffers that are used again: for replies on their way out and payloads on their way in. Sizes are powers of two from
 * LEAST_BYTES to MOST_BYTES, each with HEADER_ROOM_BYTES in front for the header of a reply; larger ones are made when they
 * are needed. What is kept is bounded by KEPT_BYTES_MAX. Opening thread only.
 */
import { Buffer } from 'node:buffer';

/** Where the data of a reply start in a buffer. A multiple of 8, and more than any header. */
export const HEADER_ROOM_BYTES = 32;

const LEAST_BYTES = 32 * 1024;
const MOST_BYTES = 1024 * 1024;
const KEPT_BYTES_MAX = 32 * 1024 * 1024;

export class BufferPool {
  private readonly kept = new Map<number, Buffer[]>();
  private keptBytes = 0;

  /** A buffer with room for a header and at least `bytes` of data; what it holds is anybody's. */
  take(bytes: number): Buffer {
    const size = sizeFor(bytes);
    const buffer = this.kept.get(size)?.pop();
    if (buffer === undefined) return Buffer.allocUnsafeSlow(size + HEADER_ROOM_BYTES);
    this.keptBytes -= size;
    return buffer;
  }

  give(buffer: Buffer): void {
    const size = buffer.byteLength - HEADER_ROOM_BYTES;
    if (size > MOST_BYTES || this.keptBytes + size > KEPT_BYTES_MAX) return;
    const list = this.kept.get(size);
    if (list === undefined) this.kept.set(size, [buffer]);
    else list.push(buffer);
    this.keptBytes += size;
  }
}

function sizeFor(bytes: number): number {
  let size = LEAST_BYTES;
  while (size < bytes) size *= 2;
  return size;
}
