/**
 * Writes that a server has acknowledged and not flushed: what it may lose when it ends, and is sent again to the next one.
 *
 * In the order of their acknowledgements. A flush makes durable what was acknowledged before it was sent: that much is
 * dropped. Device thread only.
 */
import { Buffer } from 'node:buffer';

export interface UnflushedWrite {
  positionBytes: number;
  data: Buffer;
}

export class UnflushedWrites {
  private readonly list: UnflushedWrite[] = [];
  private firstNumber = 0;
  private bytes = 0;

  get heldBytes(): number {
    return this.bytes;
  }

  /** The number of the next write: what lies before it when a flush is sent, the flush covers. */
  get mark(): number {
    return this.firstNumber + this.list.length;
  }

  add(positionBytes: number, data: Uint8Array): void {
    this.list.push({ positionBytes, data: Buffer.from(data) });
    this.bytes += data.byteLength;
  }

  flushed(mark: number): void {
    const gone = this.list.splice(0, mark - this.firstNumber);
    this.firstNumber = Math.max(this.firstNumber, mark);
    for (const { data } of gone) this.bytes -= data.byteLength;
  }

  /** All of them, in order. */
  all(): readonly UnflushedWrite[] {
    return [...this.list];
  }
}
