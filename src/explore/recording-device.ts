/**
 * A device that writes down what is asked of it before it passes it on: every write with its bytes, every flush and
 * discard, each with the moments when it began and when it was complete.
 *
 * The log lies in shared memory: any number of threads record into it, each through its own `RecordingDevice` over its own
 * view of the device. What happens beside the device (an operation begins, a promise is given) takes a moment of the same
 * clock, so that both can be put in one order. The log is read when nobody records any more.
 *
 * 1. `Clock` only grows, one step for every beginning and every end; no two share a moment. A record with no end was under
 *    way when the log was read, or failed.
 * 2. A record's place is taken by one atomic addition to `Cursor`; its fields are its thread's alone. `Begin` is stored last
 *    of what is known when it begins, `End` when the device has answered: a reader that sees them sees the rest.
 * 3. What is logged is what the device gets: the bytes are copied once and written from the copy, since a page may be
 *    changed while it is under writeback.
 */
import { assert } from '../assert.js';
import type { Device } from '../device/device.js';

export const enum RecordKind {
  Write = 1,
  Flush = 2,
  Discard = 3,
}

/** Words of the log's head. */
const enum Head {
  /** Words in use behind the head. Atomic addition. */
  Cursor,
  /** The last moment that was given out. Atomic addition. */
  Clock,
  Words,
}

/** Words of a record; a write's bytes follow. */
const enum At {
  /** Words of the whole record. */
  Size,
  Kind,
  Begin,
  End,
  /** Position and length in units of SECTOR_BYTES, so that they fit words. */
  Position,
  Length,
  Words,
}

export const SECTOR_BYTES = 512;
const WORD_BYTES = 4;
const NO_BYTES = new Uint8Array(0);

export interface DeviceRecord {
  kind: RecordKind;
  begin: number;
  /** Infinity while under way. */
  end: number;
  positionBytes: number;
  lengthBytes: number;
  /** Of a write; a view of the log. */
  bytes: Uint8Array;
}

export class DeviceLog {
  private readonly words: Int32Array;
  private readonly bytes: Uint8Array;

  constructor(readonly buffer: SharedArrayBuffer) {
    this.words = new Int32Array(buffer);
    this.bytes = new Uint8Array(buffer);
  }

  static allocate(lengthBytes: number): DeviceLog {
    return new DeviceLog(new SharedArrayBuffer(lengthBytes));
  }

  /** The next moment. */
  tick(): number {
    return Atomics.add(this.words, Head.Clock, 1) + 1;
  }

  /** The last moment given out. */
  get now(): number {
    return Atomics.load(this.words, Head.Clock);
  }

  /** Empties it, for another run. Nobody records. */
  clear(): void {
    this.words.fill(0, 0, Head.Words + this.words[Head.Cursor]);
  }

  /** Begins a record of a flush or discard; what it returns is what `end` wants. */
  begin(kind: RecordKind, positionBytes: number, lengthBytes: number): number {
    const record = this.claim(kind, positionBytes, lengthBytes, 0);
    Atomics.store(this.words, record + At.Begin, this.tick());
    return record;
  }

  /** Begins a record of a write, with a copy of its bytes. */
  beginWrite(buffers: readonly Uint8Array[], positionBytes: number): number {
    let length = 0;
    for (const buffer of buffers) length += buffer.length;
    const record = this.claim(RecordKind.Write, positionBytes, length, length);
    const bytes = this.bytesOf(record);
    let at = 0;
    for (const buffer of buffers) {
      bytes.set(buffer, at);
      at += buffer.length;
    }
    Atomics.store(this.words, record + At.Begin, this.tick());
    return record;
  }

  /** The copy that a record of a write holds. */
  bytesOf(record: number): Uint8Array {
    const from = (record + At.Words) * WORD_BYTES;
    return this.bytes.subarray(from, from + this.words[record + At.Length] * SECTOR_BYTES);
  }

  end(record: number): void {
    Atomics.store(this.words, record + At.End, this.tick());
  }

  private claim(kind: RecordKind, positionBytes: number, lengthBytes: number, dataBytes: number): number {
    const size = At.Words + dataBytes / WORD_BYTES;
    const at = Head.Words + Atomics.add(this.words, Head.Cursor, size);
    assert(at + size <= this.words.length, 'the log of the device is full; record less, or give it more memory');
    this.words[at + At.Size] = size;
    this.words[at + At.Kind] = kind;
    this.words[at + At.Position] = positionBytes / SECTOR_BYTES;
    this.words[at + At.Length] = lengthBytes / SECTOR_BYTES;
    return at;
  }

  /** All records in the order in which they began. */
  records(): DeviceRecord[] {
    const { words } = this;
    const found: DeviceRecord[] = [];
    const end = Head.Words + Atomics.load(words, Head.Cursor);
    for (let at: number = Head.Words; at < end; at += words[at + At.Size]) {
      const begin = Atomics.load(words, at + At.Begin);
      const ended = Atomics.load(words, at + At.End);
      const kind = words[at + At.Kind] as RecordKind;
      const lengthBytes = words[at + At.Length] * SECTOR_BYTES;
      found.push({
        kind,
        begin,
        end: ended === 0 ? Number.POSITIVE_INFINITY : ended,
        positionBytes: words[at + At.Position] * SECTOR_BYTES,
        lengthBytes,
        bytes: kind === RecordKind.Write ? this.bytesOf(at) : NO_BYTES,
      });
    }
    return found.sort((a, b) => a.begin - b.begin);
  }
}

export class RecordingDevice implements Device {
  constructor(
    private readonly device: Device,
    private readonly log: DeviceLog,
  ) {}

  get sizeBytes(): number {
    return this.device.sizeBytes;
  }

  get readOnly(): boolean {
    return this.device.readOnly;
  }

  get io(): 'direct' | 'buffered' {
    return this.device.io;
  }

  get canDiscard(): boolean {
    return this.device.canDiscard;
  }

  read(buffers: Uint8Array[], positionBytes: number): number {
    return this.device.read(buffers, positionBytes);
  }

  write(buffers: Uint8Array[], positionBytes: number): number {
    const record = this.log.beginWrite(buffers, positionBytes);
    const written = this.device.write([this.log.bytesOf(record)], positionBytes);
    this.log.end(record);
    return written;
  }

  flush(): void {
    const record = this.log.begin(RecordKind.Flush, 0, 0);
    this.device.flush();
    this.log.end(record);
  }

  discard(positionBytes: number, lengthBytes: number): void {
    const record = this.log.begin(RecordKind.Discard, positionBytes, lengthBytes);
    this.device.discard(positionBytes, lengthBytes);
    this.log.end(record);
  }
}
