/**
 * A device in memory, for the exploring driver and for tests: one thread, chunks allocated when first written, so that
 * a device of a terabyte costs nothing. A clone shares its chunks until either device writes to them.
 *
 * Hooks see every operation before it happens and may make it fail: throw, and nothing is transferred; return a number
 * of bytes, and only those are transferred before the operation fails with EIO. Failed writes and flushes latch as they
 * do on a `HostDevice`.
 */
import { StoreError } from '../errors.js';
import type { Device } from './device.js';

const CHUNK_BYTES = 16384;

type TransferHook = (positionBytes: number, lengthBytes: number) => number | undefined | undefined;

export interface MemoryDeviceOptions {
  readOnly?: boolean;
  onRead?: TransferHook;
  onWrite?: TransferHook;
  onFlush?: () => void;
  onDiscard?: (positionBytes: number, lengthBytes: number) => void;
}

export class MemoryDevice implements Device {
  readonly readOnly: boolean;
  readonly io = 'direct';
  readonly canDiscard = true;
  onRead: TransferHook | undefined;
  onWrite: TransferHook | undefined;
  onFlush: (() => void) | undefined;
  onDiscard: ((positionBytes: number, lengthBytes: number) => void) | undefined;
  private readonly chunks = new Map<number, Uint8Array>();
  /** Chunks that no clone shares. */
  private readonly own = new Set<number>();
  private latched: StoreError | null = null;

  constructor(
    readonly sizeBytes: number,
    options: MemoryDeviceOptions = {},
  ) {
    this.readOnly = options.readOnly === true;
    this.onRead = options.onRead;
    this.onWrite = options.onWrite;
    this.onFlush = options.onFlush;
    this.onDiscard = options.onDiscard;
  }

  /** Bytes of memory that hold content. */
  get allocatedBytes(): number {
    return this.chunks.size * CHUNK_BYTES;
  }

  /** A device with the same content, no hooks and no latched error: what a reboot would find. */
  clone(): MemoryDevice {
    const copy = new MemoryDevice(this.sizeBytes, { readOnly: this.readOnly });
    for (const [index, chunk] of this.chunks) copy.chunks.set(index, chunk);
    this.own.clear();
    return copy;
  }

  read(buffers: Uint8Array[], positionBytes: number): number {
    const available = Math.max(0, this.sizeBytes - positionBytes);
    const length = Math.min(lengthOf(buffers), available);
    const allowed = this.onRead?.(positionBytes, length) ?? length;
    if (buffers.length === 1 && allowed === length && this.readInChunk(buffers[0], positionBytes)) return length;
    this.each(buffers, positionBytes, Math.min(length, allowed), (chunk, at, target, from, count) => {
      if (chunk === undefined) target.fill(0, from, from + count);
      else target.set(chunk.subarray(at, at + count), from);
    });
    if (allowed < length) throw new StoreError('EIO', { syscall: 'read', detail: `after ${allowed} bytes` });
    return length;
  }

  write(buffers: Uint8Array[], positionBytes: number): number {
    this.checkWritable('write');
    const length = lengthOf(buffers);
    if (positionBytes + length > this.sizeBytes) {
      const detail = `bytes ${positionBytes} … ${positionBytes + length} lie past the end of the device`;
      throw new StoreError('EIO', { syscall: 'write', detail });
    }
    let allowed = length;
    try {
      allowed = this.onWrite?.(positionBytes, length) ?? length;
    } catch (error) {
      throw this.latch(error);
    }
    this.each(buffers, positionBytes, Math.min(length, allowed), (_chunk, at, source, from, count, index) => {
      this.writable(index).set(source.subarray(from, from + count), at);
    });
    if (allowed < length) {
      throw this.latch(new StoreError('EIO', { syscall: 'write', detail: `after ${allowed} bytes` }));
    }
    return length;
  }

  flush(): void {
    if (this.readOnly) return;
    this.checkWritable('fsync');
    try {
      this.onFlush?.();
    } catch (error) {
      throw this.latch(error);
    }
  }

  discard(positionBytes: number, lengthBytes: number): void {
    if (this.readOnly || this.latched !== null) return;
    this.onDiscard?.(positionBytes, lengthBytes);
    const end = Math.min(positionBytes + lengthBytes, this.sizeBytes);
    for (let position = positionBytes; position < end; ) {
      const index = Math.floor(position / CHUNK_BYTES);
      const at = position - index * CHUNK_BYTES;
      const count = Math.min(CHUNK_BYTES - at, end - position);
      if (count === CHUNK_BYTES) this.forget(index);
      else if (this.chunks.has(index)) this.writable(index).fill(0, at, at + count);
      position += count;
    }
  }

  /** The usual case: one buffer, all of it in one chunk that there is. */
  private readInChunk(target: Uint8Array, positionBytes: number): boolean {
    const index = Math.floor(positionBytes / CHUNK_BYTES);
    const at = positionBytes - index * CHUNK_BYTES;
    const chunk = this.chunks.get(index);
    if (chunk === undefined || at + target.length > CHUNK_BYTES || positionBytes + target.length > this.sizeBytes) {
      return false;
    }
    target.set(at === 0 && target.length === CHUNK_BYTES ? chunk : chunk.subarray(at, at + target.length));
    return true;
  }

  private forget(index: number): void {
    this.chunks.delete(index);
    this.own.delete(index);
  }

  /** The chunk, this device's own from now on. */
  private writable(index: number): Uint8Array {
    let chunk = this.chunks.get(index);
    if (chunk !== undefined && this.own.has(index)) return chunk;
    chunk = chunk === undefined ? new Uint8Array(CHUNK_BYTES) : chunk.slice();
    this.chunks.set(index, chunk);
    this.own.add(index);
    return chunk;
  }

  private checkWritable(syscall: string): void {
    if (this.readOnly) throw new StoreError('EROFS', { syscall });
    if (this.latched === null) return;
    const detail = 'an earlier write failed; the device takes no more';
    throw new StoreError(this.latched.code, { syscall, detail, cause: this.latched });
  }

  private latch(error: unknown): unknown {
    this.latched ??= error instanceof StoreError ? error : new StoreError('EIO', { detail: String(error) });
    return error;
  }

  /** Calls `visit` for each piece of `length` bytes from `positionBytes` that lies in one buffer and one chunk. */
  private each(
    buffers: Uint8Array[],
    positionBytes: number,
    length: number,
    visit: (
      chunk: Uint8Array | undefined,
      at: number,
      buffer: Uint8Array,
      from: number,
      count: number,
      index: number,
    ) => void,
  ): void {
    let position = positionBytes;
    let left = length;
    for (const buffer of buffers) {
      for (let from = 0; from < buffer.length && left > 0; ) {
        const index = Math.floor(position / CHUNK_BYTES);
        const at = position - index * CHUNK_BYTES;
        const count = Math.min(CHUNK_BYTES - at, buffer.length - from, left);
        visit(this.chunks.get(index), at, buffer, from, count, index);
        from += count;
        position += count;
        left -= count;
      }
    }
  }
}

function lengthOf(buffers: Uint8Array[]): number {
  let length = 0;
  for (const buffer of buffers) length += buffer.length;
  return length;
}
