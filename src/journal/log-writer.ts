/**
 * Lays a transaction out for the log (format/journal-record.ts) and writes it, in as few writes as the ring allows: the
 * records lie in memory of this thread's own, the images where the commit copied them.
 *
 * Under the Commit mutex.
 */
import { borrowAligned, returnAligned } from '../device/aligned-memory.js';
import type { Device } from '../device/device.js';
import {
  beginRecord,
  CommitAt,
  chainRecord,
  entriesPerDescriptor,
  entriesPerRevocation,
  escapeImage,
  imageChecksum,
  JournalRecordKind,
  sealRecord,
  transactionSeed,
  writeImageEntry,
  writeRevoked,
} from '../format/journal-record.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { CommitBuffer } from './commit-buffer.js';
import type { LogArea } from './log-area.js';

export class LogWriter {
  private memory: Uint8Array = new Uint8Array(0);
  private pieces: Uint8Array[] = [];
  private records = 0;
  private chain = 0;
  private seed = 0;
  private sequence = 0;
  /** Blocks laid out so far, and where the first goes. */
  private length = 0;
  private start = 0;

  constructor(
    private readonly device: Device,
    private readonly area: LogArea,
  ) {}

  /** Writes the copies, sealed and in order of their blocks, and the revocations as transaction `sequence`. */
  *write(
    task: Task,
    copies: CommitBuffer,
    revoked: readonly number[],
    sequence: number,
    position: number,
  ): Routine<void> {
    const { area } = this;
    const records = area.transactionLength(copies.count, revoked.length) - copies.count;
    const memory = borrowAligned(records * area.blockBytes);
    try {
      this.begin(memory, sequence, position);
      this.addImages(copies);
      this.addRevocations(revoked);
      this.addCommit(copies.count);
      yield* this.writePieces(task, position);
    } finally {
      this.pieces = [];
      returnAligned(memory);
    }
  }

  private *writePieces(task: Task, position: number): Routine<void> {
    const { area, device, pieces } = this;
    const toEnd = (area.length - position) * area.blockBytes;
    if (this.length * area.blockBytes <= toEnd) {
      yield task.write(device, pieces, area.bytesAt(position));
      return;
    }
    const [first, second] = split(pieces, toEnd);
    yield task.write(device, first, area.bytesAt(position));
    yield task.write(device, second, area.bytesAt(0));
  }

  private begin(memory: Uint8Array, sequence: number, position: number): void {
    const { shape } = this.area;
    this.memory = memory;
    this.records = 0;
    this.chain = 0;
    this.length = 0;
    this.start = position;
    this.sequence = sequence;
    this.seed = transactionSeed(shape.uuid, sequence);
  }

  private addImages(copies: CommitBuffer): void {
    const perDescriptor = entriesPerDescriptor(this.area.blockBytes);
    for (let from = 0; from < copies.count; from += perDescriptor) {
      const count = Math.min(perDescriptor, copies.count - from);
      const bytes = this.beginRecord(JournalRecordKind.Descriptor, count);
      const view = viewOf(bytes);
      for (let i = 0; i < count; i++) {
        const image = copies.image(from + i);
        const flags = escapeImage(viewOf(image));
        writeImageEntry(view, i, copies.blockOf(from + i), flags, imageChecksum(image, this.seed));
      }
      this.addRecord(bytes);
      this.pieces.push(copies.images(from, from + count));
      this.length += count;
    }
  }

  private addRevocations(revoked: readonly number[]): void {
    const perRecord = entriesPerRevocation(this.area.blockBytes);
    for (let from = 0; from < revoked.length; from += perRecord) {
      const count = Math.min(perRecord, revoked.length - from);
      const bytes = this.beginRecord(JournalRecordKind.Revocation, count);
      const view = viewOf(bytes);
      for (let i = 0; i < count; i++) writeRevoked(view, i, revoked[from + i]);
      this.addRecord(bytes);
    }
  }

  private addCommit(images: number): void {
    const { chain, records } = this;
    const bytes = this.beginRecord(JournalRecordKind.Commit, records);
    const view = viewOf(bytes);
    view.setUint32(CommitAt.RecordsChecksum, chain, true);
    view.setUint32(CommitAt.Images, images, true);
    this.addRecord(bytes);
  }

  private beginRecord(kind: JournalRecordKind, count: number): Uint8Array {
    const { blockBytes } = this.area;
    const bytes = this.memory.subarray(this.records * blockBytes, (this.records + 1) * blockBytes);
    beginRecord(viewOf(bytes), bytes, kind, this.sequence, this.area.after(this.start, this.length), count);
    return bytes;
  }

  private addRecord(bytes: Uint8Array): void {
    this.chain = chainRecord(this.chain, sealRecord(viewOf(bytes), bytes, this.seed));
    this.records += 1;
    this.pieces.push(bytes);
    this.length += 1;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** The pieces' first `lengthBytes`, and the rest. */
function split(pieces: readonly Uint8Array[], lengthBytes: number): [Uint8Array[], Uint8Array[]] {
  const first: Uint8Array[] = [];
  const second: Uint8Array[] = [];
  let left = lengthBytes;
  for (const piece of pieces) {
    const here = Math.min(piece.length, left);
    if (here > 0) first.push(here === piece.length ? piece : piece.subarray(0, here));
    if (here < piece.length) second.push(piece.subarray(here));
    left -= here;
  }
  return [first, second];
}
