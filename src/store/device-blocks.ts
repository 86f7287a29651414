/**
 * Blocks of a device that no page cache stands before: formatting and checking read and write through this, one block at
 * a time, in memory that direct I/O takes.
 *
 * One thread, the only user of the device. I/O errors are thrown as the device throws them; what is short (a truncated
 * image) is an EIO.
 */
import { allocateAligned } from '../device/aligned-memory.js';
import type { Device } from '../device/device.js';
import { StoreError } from '../errors.js';

/** A block's memory, seen in the ways that the format's codecs want it. */
export class BlockBuffer {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly words: Uint32Array;

  /** On `lengthBytes` of aligned memory, from `offset`; by default of its own. */
  constructor(lengthBytes: number, memory: Uint8Array = allocateAligned(lengthBytes), offset = 0) {
    const at = memory.byteOffset + offset;
    this.bytes = new Uint8Array(memory.buffer, at, lengthBytes);
    this.view = new DataView(memory.buffer, at, lengthBytes);
    this.words = new Uint32Array(memory.buffer, at, lengthBytes / 4);
  }
}

/** Buffers made at once: aligned memory costs a system call or two, however little it is. */
const SLAB_BLOCKS = 16;

export class DeviceBlocks {
  private slab: Uint8Array = new Uint8Array(0);
  private slabUsed = 0;

  constructor(
    readonly device: Device,
    readonly blockBytes: number,
  ) {}

  buffer(): BlockBuffer {
    if (this.slabUsed === this.slab.length) {
      this.slab = allocateAligned(SLAB_BLOCKS * this.blockBytes);
      this.slabUsed = 0;
    }
    const offset = this.slabUsed;
    this.slabUsed += this.blockBytes;
    return new BlockBuffer(this.blockBytes, this.slab, offset);
  }

  read(block: number, into: BlockBuffer): void {
    const done = this.device.read([into.bytes], block * this.blockBytes);
    if (done < this.blockBytes) {
      throw new StoreError('EIO', { syscall: 'read', detail: `block ${block} lies past the end of the device` });
    }
  }

  write(block: number, from: BlockBuffer): void {
    this.device.write([from.bytes], block * this.blockBytes);
  }
}
