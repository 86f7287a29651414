/**
 * Reads the log's transactions in order, and says which images are to be replayed: of each block the newest, unless the
 * block was revoked by the same or a later transaction.
 *
 * Recovery scans to the end, which is the first transaction that is not whole: since transactions are written one after
 * the other, each durable before the next begins, what is not whole was never promised to anybody. A checkpoint that cannot
 * go by what is noted of the log (log-images.ts) scans what it knows to be durable, and spares itself the images.
 */
import type { Device } from '../device/device.js';
import {
  CommitAt,
  chainRecord,
  entriesPerDescriptor,
  entriesPerRevocation,
  type ImageEntry,
  imageChecksum,
  isRecordKind,
  JournalRecordKind,
  readImageEntry,
  readRevoked,
  recordChecksum,
  recordCount,
  recordSequence,
  transactionSeed,
  verifyRecord,
} from '../format/journal-record.js';
import type { DeviceEffects } from '../routine/device-effects.js';
import type { Routine } from '../routine/effect.js';
import type { LogArea } from './log-area.js';
import { LogReader } from './log-reader.js';

/** An image in the log. */
export interface LogImage extends ImageEntry {
  sequence: number;
  position: number;
}

export interface LogPoint {
  position: number;
  sequence: number;
}

export class LogScan {
  /** Transactions read, and the blocks of the log that they take. */
  transactions = 0;
  length = 0;
  /** Where the next transaction would begin. */
  readonly end: LogPoint;
  private readonly newest = new Map<number, LogImage>();
  /** Last transaction that revoked the block. */
  private readonly revoked = new Map<number, number>();
  private readonly reader: LogReader;
  /** Of the transaction being read. */
  private images: LogImage[] = [];
  private revocations: number[] = [];

  constructor(
    io: DeviceEffects,
    device: Device,
    private readonly area: LogArea,
    from: LogPoint,
  ) {
    this.reader = new LogReader(io, device, area);
    this.end = { ...from };
  }

  /** Reads whole transactions up to the one numbered `last`, or all there are. `verifying`: their images too. */
  *run(last: number, verifying: boolean): Routine<void> {
    const { end, area } = this;
    while (end.sequence <= last && this.length < area.length) {
      const length = yield* this.transaction(end, verifying);
      if (length === 0) return;
      for (const image of this.images) this.newest.set(image.block, image);
      for (const block of this.revocations) this.revoked.set(block, end.sequence);
      this.transactions += 1;
      this.length += length;
      end.position = area.after(end.position, length);
      end.sequence += 1;
    }
  }

  /** Gives the reader's memory back; nothing can be read any more. */
  close(): void {
    this.reader.close();
  }

  /** What is to be replayed, in order of blocks. */
  live(): LogImage[] {
    const live: LogImage[] = [];
    for (const image of this.newest.values()) {
      const revoked = this.revoked.get(image.block);
      if (revoked === undefined || revoked < image.sequence) live.push(image);
    }
    return live.sort((a, b) => a.block - b.block);
  }

  /**
   * Whether a record later than the scan's end lies anywhere in the rest of the log. It would have been written after the
   * transaction at the end was durable: so that one was damaged since, not cut short.
   */
  *isFollowed(): Routine<boolean> {
    return (yield* this.highestSequence()) > this.end.sequence;
  }

  /** Number of the latest transaction of which an intact record lies in the part of the log that was not scanned; or 0. */
  *highestSequence(): Routine<number> {
    const { area, end, reader } = this;
    let highest = 0;
    for (let done = this.length, at = end.position; done < area.length; done++, at = area.after(at, 1)) {
      yield* reader.fetch(at);
      const view = reader.view(at);
      if (!isRecordKind(view.getUint32(0, true))) continue;
      const sequence = recordSequence(view);
      if (sequence <= highest) continue;
      const seed = transactionSeed(area.shape.uuid, sequence);
      if (verifyRecord(view, reader.block(at), seed, sequence, at) !== 0) highest = sequence;
    }
    return highest;
  }

  /** Reads the transaction at `from` into `images` and `revocations`; its length, or 0 where it is not whole. */
  private *transaction(from: LogPoint, verifying: boolean): Routine<number> {
    const { area, reader } = this;
    const { sequence } = from;
    const seed = transactionSeed(area.shape.uuid, sequence);
    const lengthMax = area.length - this.length;
    this.images = [];
    this.revocations = [];
    let chain = 0;
    let records = 0;
    for (let length = 0; length < lengthMax; ) {
      const at = area.after(from.position, length);
      yield* reader.fetch(at);
      const view = reader.view(at);
      const kind = verifyRecord(view, reader.block(at), seed, sequence, at);
      length += 1;
      if (kind === 0) return 0;
      if (kind === JournalRecordKind.Commit) {
        const isWhole =
          recordCount(view) === records &&
          view.getUint32(CommitAt.Images, true) === this.images.length &&
          view.getUint32(CommitAt.RecordsChecksum, true) === chain;
        return isWhole ? length : 0;
      }
      chain = chainRecord(chain, recordChecksum(view));
      records += 1;
      if (kind === JournalRecordKind.Revocation) {
        if (!this.addRevocations(view)) return 0;
        continue;
      }
      const first = this.images.length;
      if (!this.addImages(view, sequence, at)) return 0;
      length += this.images.length - first;
      if (verifying && !(yield* this.verifyImages(first, seed))) return 0;
    }
    return 0;
  }

  private addRevocations(view: DataView): boolean {
    const count = recordCount(view);
    if (count > entriesPerRevocation(this.area.blockBytes)) return false;
    for (let i = 0; i < count; i++) this.revocations.push(readRevoked(view, i));
    return true;
  }

  private addImages(view: DataView, sequence: number, at: number): boolean {
    const { area } = this;
    const count = recordCount(view);
    if (count > entriesPerDescriptor(area.blockBytes)) return false;
    for (let i = 0; i < count; i++) {
      const entry = readImageEntry(view, i);
      if (!area.mayBelongAt(entry.block)) return false;
      this.images.push({ ...entry, sequence, position: area.after(at, 1 + i) });
    }
    return true;
  }

  private *verifyImages(first: number, seed: number): Routine<boolean> {
    for (let i = first; i < this.images.length; i++) {
      const { position, checksum } = this.images[i];
      yield* this.reader.fetch(position);
      if (imageChecksum(this.reader.block(position), seed) !== checksum) return false;
    }
    return true;
  }
}
