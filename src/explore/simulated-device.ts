/**
 * The device of a world: a flat array of bytes, restored by one copy, that knows whose each block is and can be told to
 * fail.
 *
 * One thread. The driver performs the I/O of routines as steps of its own; whose a block is, is told by whoever sees the
 * allocator at work (world.ts). Like a real device it takes no more writes after one has failed.
 *
 *  1. A block's owner is a file's slot, OWNER_METADATA, a claim of a thread, or 0.
 *  2. A block that was freed belongs to its former owner too until the transaction that freed it is durable, as a crash before
 *     that gives it back: `freedBy` has that transaction's number.
 *  3. A fault fires once per restore.
 */
import type { Device } from '../device/device.js';
import { StoreError } from '../errors.js';

export const OWNER_METADATA = -1;
/** A claim of thread t is OWNER_CLAIM - t: chosen for writeback, in no extent yet. */
export const OWNER_CLAIM = -100;

export interface DeviceFault {
  io: 'read' | 'write';
  block: number;
}

export class SimulatedDevice implements Device {
  readonly sizeBytes: number;
  readonly readOnly = false;
  readonly io = 'direct';
  readonly canDiscard = true;
  readonly bytes: Uint8Array;
  readonly owners: Int32Array;
  /** The last transaction that freed the block, or 0. */
  readonly freedBy: Int32Array;
  faults: readonly DeviceFault[] = [];
  /** Blocks written to since the last restore: nothing else has to be put back. */
  private readonly written: number[] = [];
  private fired = 0;
  private latched = false;

  constructor(
    readonly blocks: number,
    readonly blockBytes: number,
  ) {
    this.sizeBytes = blocks * blockBytes;
    this.bytes = new Uint8Array(this.sizeBytes);
    this.owners = new Int32Array(blocks);
    this.freedBy = new Int32Array(blocks);
  }

  restore(bytes: Uint8Array, owners: Int32Array, freedBy: Int32Array): void {
    const { blockBytes, written } = this;
    for (const block of written) {
      this.bytes.set(bytes.subarray(block * blockBytes, (block + 1) * blockBytes), block * blockBytes);
    }
    written.length = 0;
    this.owners.set(owners);
    this.freedBy.set(freedBy);
    this.fired = 0;
    this.latched = false;
  }

  /** Lets it take writes again, for whoever looks at it afterwards. */
  heal(): void {
    this.latched = false;
    this.fired = -1;
  }

  get hasFailed(): boolean {
    return this.latched;
  }

  read(buffers: Uint8Array[], positionBytes: number): number {
    this.failAt('read', positionBytes, lengthOf(buffers));
    let at = positionBytes;
    for (const buffer of buffers) {
      buffer.set(this.bytes.subarray(at, at + buffer.length));
      at += buffer.length;
    }
    return at - positionBytes;
  }

  write(buffers: Uint8Array[], positionBytes: number): number {
    if (this.latched) throw new StoreError('EIO', { syscall: 'write', detail: 'an earlier write failed' });
    const length = lengthOf(buffers);
    if (positionBytes + length > this.sizeBytes) throw new StoreError('EIO', { detail: 'past the end of the device' });
    this.failAt('write', positionBytes, length);
    this.noteWritten(positionBytes, length);
    let at = positionBytes;
    for (const buffer of buffers) {
      this.bytes.set(buffer, at);
      at += buffer.length;
    }
    return length;
  }

  flush(): void {
    if (this.latched) throw new StoreError('EIO', { syscall: 'fsync', detail: 'an earlier write failed' });
  }

  discard(positionBytes: number, lengthBytes: number): void {
    if (this.latched) return;
    this.noteWritten(positionBytes, lengthBytes);
    this.bytes.fill(0, positionBytes, positionBytes + lengthBytes);
  }

  private noteWritten(positionBytes: number, lengthBytes: number): void {
    const end = Math.ceil((positionBytes + lengthBytes) / this.blockBytes);
    for (let block = Math.floor(positionBytes / this.blockBytes); block < end; block++) this.written.push(block);
  }

  private failAt(io: 'read' | 'write', positionBytes: number, lengthBytes: number): void {
    if (this.fired !== 0) return;
    const first = positionBytes / this.blockBytes;
    const end = first + lengthBytes / this.blockBytes;
    if (!this.faults.some((fault) => fault.io === io && fault.block >= first && fault.block < end)) return;
    this.fired = 1;
    if (io === 'write') this.latched = true;
    throw new StoreError('EIO', { syscall: io, detail: 'as the scenario wants it' });
  }
}

function lengthOf(buffers: Uint8Array[]): number {
  let length = 0;
  for (const buffer of buffers) length += buffer.length;
  return length;
}
