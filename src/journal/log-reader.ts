/**
 * Reads the log's blocks in large pieces. One reader, one thread; the memory is its own until `close`.
 *
 * The first piece is small, since most logs are found empty; they grow while they are asked for in order.
 */
import { borrowAligned, returnAligned } from '../device/aligned-memory.js';
import type { Device } from '../device/device.js';
import { StoreError } from '../errors.js';
import type { DeviceEffects } from '../routine/device-effects.js';
import type { Routine } from '../routine/effect.js';
import { MIB } from '../units.js';
import type { LogArea } from './log-area.js';

const PIECE_BYTES = MIB;
const FIRST_PIECE_BLOCKS = 8;

export class LogReader {
  private readonly bytes: Uint8Array<SharedArrayBuffer>;
  private readonly blocksMax: number;
  private first = 0;
  private count = 0;
  private pieceBlocks: number;

  constructor(
    private readonly io: DeviceEffects,
    private readonly device: Device,
    private readonly area: LogArea,
  ) {
    this.blocksMax = Math.max(1, Math.min(Math.floor(PIECE_BYTES / area.blockBytes), area.length));
    this.bytes = borrowAligned(this.blocksMax * area.blockBytes);
    this.pieceBlocks = Math.min(FIRST_PIECE_BLOCKS, this.blocksMax);
  }

  /** Reads until the block of the position is at hand: then `block` and `view` give it. */
  *fetch(position: number): Routine<void> {
    if (position >= this.first && position < this.first + this.count) return;
    const { area, bytes } = this;
    const isInOrder = position === this.first + this.count;
    if (isInOrder) this.pieceBlocks = Math.min(this.pieceBlocks * 2, this.blocksMax);
    const blocks = Math.min(this.pieceBlocks, area.length - position);
    this.count = 0;
    const length = blocks * area.blockBytes;
    const done = yield this.io.read(this.device, [bytes.subarray(0, length)], area.bytesAt(position));
    if (done < length) throw new StoreError('EIO', { syscall: 'read', detail: "the log lies past the device's end" });
    this.first = position;
    this.count = blocks;
  }

  /** The fetched block of a position. It stays until the next `fetch` of another piece. */
  block(position: number): Uint8Array {
    const at = (position - this.first) * this.area.blockBytes;
    return this.bytes.subarray(at, at + this.area.blockBytes);
  }

  view(position: number): DataView {
    const { bytes, area } = this;
    return new DataView(bytes.buffer, bytes.byteOffset + (position - this.first) * area.blockBytes, area.blockBytes);
  }

  close(): void {
    returnAligned(this.bytes);
  }
}
