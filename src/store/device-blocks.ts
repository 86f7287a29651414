/**
 * Blocks of a device that no page cache stands before: formatting and checking read and write through this, one block at
 * a time, in memory that direct I/O takes.
 *
 * One thread, the only user of the device. I/O errors are thrown as the device throws them; what is short (a truncated
 * image) is an EIO.
 */
import { carveAligned } from '../device/aligned-memory.js';
import type { Device } from '../device/device.js';
import { StoreError } from '../errors.js';

/** A block's memory, seen in the ways that the format's codecs want it. */
export class BlockBuffer {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly words: Uint32Array;

  constructor(lengthBytes: number) {
    this.bytes = carveAligned(lengthBytes);
    const { buffer, byteOffset } = this.bytes;
    this.view = new DataView(buffer, byteOffset, lengthBytes);
    this.words = new Uint32Array(buffer, byteOffset, lengthBytes / 4);
  }
}

export class DeviceBlocks {
  constructor(
    readonly device: Device,
    readonly blockBytes: number,
  ) {}

  buffer(): BlockBuffer {
    return new BlockBuffer(this.blockBytes);
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
