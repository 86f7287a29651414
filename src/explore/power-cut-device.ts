/**
 * A device that starts as an image and keeps what is written to it to itself: cheap to make, so that every image gets one.
 *
 * One thread. Whole blocks are written, parts of blocks are read. Nothing fails.
 */
import type { Device } from '../device/device.js';
import { StoreError } from '../errors.js';
import type { BlockContents, Image } from './power-cut-contents.js';

export class ImageDevice implements Device {
  readonly readOnly = false;
  readonly io = 'direct';
  readonly canDiscard = true;
  readonly sizeBytes: number;
  private readonly written = new Map<number, Uint8Array>();
  private readonly blockBytes: number;

  constructor(
    private readonly image: Image,
    private readonly contents: BlockContents,
  ) {
    this.blockBytes = contents.blockBytes;
    this.sizeBytes = image.length * this.blockBytes;
  }

  read(buffers: Uint8Array[], positionBytes: number): number {
    const { blockBytes } = this;
    let position = positionBytes;
    for (const buffer of buffers) {
      for (let from = 0; from < buffer.length && position < this.sizeBytes; ) {
        const block = Math.floor(position / blockBytes);
        const at = position - block * blockBytes;
        const count = Math.min(blockBytes - at, buffer.length - from);
        const source = this.blockAt(block);
        buffer.set(count === blockBytes ? source : source.subarray(at, at + count), from);
        from += count;
        position += count;
      }
    }
    return position - positionBytes;
  }

  write(buffers: Uint8Array[], positionBytes: number): number {
    const { blockBytes } = this;
    let position = positionBytes;
    for (const buffer of buffers) {
      if (
        position % blockBytes !== 0 ||
        buffer.length % blockBytes !== 0 ||
        position + buffer.length > this.sizeBytes
      ) {
        throw new StoreError('EIO', {
          syscall: 'write',
          detail: `${buffer.length} bytes at ${position}: no whole blocks`,
        });
      }
      for (let from = 0; from < buffer.length; from += blockBytes) {
        this.written.set(position / blockBytes, buffer.slice(from, from + blockBytes));
        position += blockBytes;
      }
    }
    return position - positionBytes;
  }

  flush(): void {}

  discard(positionBytes: number, lengthBytes: number): void {
    const zeros = this.contents.bytes(0);
    const end = (positionBytes + lengthBytes) / this.blockBytes;
    for (let block = positionBytes / this.blockBytes; block < end; block++) this.written.set(block, zeros);
  }

  /** What the device holds now. */
  toImage(): Image {
    const image = this.image.slice();
    for (const [block, bytes] of this.written) image[block] = this.contents.number(bytes);
    return image;
  }

  private blockAt(block: number): Uint8Array {
    return this.written.get(block) ?? this.contents.bytes(this.image[block]);
  }
}
