/**
 * Lays a transaction out for the log (format/journal-record.ts) and writes it, in as few writes as the ring allows: the
 * images lie where the commit copied them, and the records in memory of this thread's own. Most transactions have one
 * descriptor and a commit record, and these find room before and behind the images: such a transaction is a single piece.
 *
 * Under the Commit mutex.
 */
import { borrowAligned, returnAligned } from '../device/aligned-memory.js';
import type { Device } from '../device/device.js';
import {
  beginRecord,
  CommitAt,
  chainRecord,
  DescriptorEntryAt,
  entriesPerDescriptor,
  entriesPerRevocation,
  escapeImage,
  imageChecksum,
  JournalRecordAt,
  JournalRecordKind,
  sealRecord,
  transactionSeed,
  writeImageEntry,
  writeRevoked,
} from '../format/journal-record.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { type CommitBuffer, RECORD_SLOTS } from './commit-buffer.js';
import type { LogArea } from './log-area.js';

const REVOKED_BYTES = 4;
const NO_MEMORY = new Uint8Array(0);

export class LogWriter {
  /** Where the records go: around the copies, or else here. */
  private around: CommitBuffer | null = null;
  private memory: Uint8Array = NO_MEMORY;
  private record: Uint8Array = NO_MEMORY;
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
    if (records === RECORD_SLOTS && revoked.length === 0) {
      this.begin(copies, NO_MEMORY, sequence, position);
      this.addImages(copies);
      this.addCommit(copies.count);
      this.pieces = [copies.framed()];
      yield* this.writePieces(task, position);
      return;
    }
    const memory = borrowAligned(records * area.blockBytes);
    try {
      this.begin(null, memory, sequence, position);
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
      const start = area.bytesAt(position);
      if (!task.tryWrite(device, pieces, start)) yield task.write(device, pieces, start);
      return;
    }
    const [first, second] = split(pieces, toEnd);
    yield task.write(device, first, area.bytesAt(position));
    yield task.write(device, second, area.bytesAt(0));
  }

  private begin(around: CommitBuffer | null, memory: Uint8Array, sequence: number, position: number): void {
    const { shape } = this.area;
    this.around = around;
    this.memory = memory;
    this.pieces = [];
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
      const view = this.beginRecord(JournalRecordKind.Descriptor, count);
      for (let i = 0; i < count; i++) {
        const flags = escapeImage(copies.view(from + i));
        const checksum =
          flags === 0 ? copies.checksumOf(from + i, this.seed) : imageChecksum(copies.image(from + i), this.seed);
        writeImageEntry(view, i, copies.blockOf(from + i), flags, checksum);
        copies.loggedChecksums[from + i] = checksum;
        copies.loggedFlags[from + i] = flags;
      }
      this.addRecord(view, JournalRecordAt.Body + count * DescriptorEntryAt.End);
      this.pieces.push(copies.images(from, from + count));
      this.length += count;
    }
  }

  private addRevocations(revoked: readonly number[]): void {
    const perRecord = entriesPerRevocation(this.area.blockBytes);
    for (let from = 0; from < revoked.length; from += perRecord) {
      const count = Math.min(perRecord, revoked.length - from);
      const view = this.beginRecord(JournalRecordKind.Revocation, count);
      for (let i = 0; i < count; i++) writeRevoked(view, i, revoked[from + i]);
      this.addRecord(view, JournalRecordAt.Body + count * REVOKED_BYTES);
    }
  }

  private addCommit(images: number): void {
    const { chain, records } = this;
    const view = this.beginRecord(JournalRecordKind.Commit, records);
    view.setUint32(CommitAt.RecordsChecksum, chain, true);
    view.setUint32(CommitAt.Images, images, true);
    this.addRecord(view, CommitAt.Rest);
  }

  /** The next record, for its body to be filled in. */
  private beginRecord(kind: JournalRecordKind, count: number): DataView {
    const { around, records, area } = this;
    let view: DataView;
    if (around === null) {
      this.record = this.memory.subarray(records * area.blockBytes, (records + 1) * area.blockBytes);
      view = new DataView(this.record.buffer, this.record.byteOffset, area.blockBytes);
    } else {
      const slot = records === 0 ? -1 : around.count;
      this.record = around.image(slot);
      view = around.view(slot);
    }
    beginRecord(view, this.record, kind, this.sequence, area.after(this.start, this.length), count);
    return view;
  }

  /** Its body is filled in, up to `usedBytes`. */
  private addRecord(view: DataView, usedBytes: number): void {
    const { record } = this;
    this.chain = chainRecord(this.chain, sealRecord(view, record, usedBytes, this.seed));
    this.records += 1;
    this.pieces.push(record);
    this.length += 1;
  }
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
