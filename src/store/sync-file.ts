/**
 * An open file, used synchronously by the thread that opened it: `SyncFile`.
 *
 * Reads and writes try the hit path in place and go on with the slow path's routine where it stops. Nothing here is shared:
 * the file's record in the table of open files, and the inode behind it, are.
 */
import { Buffer } from 'node:buffer';
import type { Readable, Writable } from 'node:stream';
import { StoreError, withPath } from '../errors.js';
import { advise, type Advice as FileAdvice } from '../file/advise.js';
import { fallocate } from '../file/allocate.js';
import { punchHole, zeroRange } from '../file/punch.js';
import { read } from '../file/read.js';
import { extentsOf, type FileSegment, nextData, nextHole, segmentsOf } from '../file/seek.js';
import { collapseRange, insertRange } from '../file/shift.js';
import { datasync, ErrorCursor, sync } from '../file/sync.js';
import { truncate } from '../file/truncate.js';
import { APPEND, write } from '../file/write.js';
import { READAHEAD_BYTES_MAX, ReadaheadState } from '../pagecache/readahead.js';
import type { Routine } from '../routine/effect.js';
import { OpenFile } from '../sync/layout.js';
import type { Slot } from '../units.js';
import { Access, ADVICE, checkAdvice, checkBuffers, checkBytes, checkPosition, checkTransfer } from './arguments.js';
import { checkLane, checkLockMode, type LockMode } from './file-locks.js';
import { PinnedPage } from './pinned-page.js';
import type { Session } from './session.js';
import { type FileExtent, type FileStat, statOf } from './stat.js';
import {
  type ReadStreamOptions,
  readStream,
  type WebStreamOptions,
  type WriteStreamOptions,
  webStream,
  writeStream,
} from './streams.js';
import {
  checkFileSize,
  checkRange,
  dataBytes,
  lengthOf,
  type ReadResult,
  readTransfer,
  scatter,
  type TransferOptions,
  type WriteResult,
  writeTransfer,
} from './transfer.js';

/** The largest piece that `readFile` asks for at once. */
const READ_FILE_BYTES = 1024 * 1024;

export interface KeepSize {
  /** Leave the file's size as it is even where the range goes beyond it. Default false. */
  keepSize?: boolean;
}

export class SyncFile {
  private readonly slot: Slot;
  private readonly access: number;
  /** Made at the first use: many files are opened that nobody reads. */
  private readaheadState: ReadaheadState | null = null;
  private readonly generation: number;
  private position = 0;
  private closed = false;

  constructor(
    private readonly session: Session,
    /** The name it was opened by. */
    readonly name: string,
    private readonly record: number,
    private readonly onClose: (file: SyncFile) => void = () => {},
  ) {
    this.slot = session.openFiles.slot(record) as Slot;
    this.access = session.openFiles.access(record);
    this.generation = session.openFiles.generation(record);
  }

  /** Whether this object still stands for what the record stands for. */
  isFor(slot: Slot, generation: number): boolean {
    return this.slot === slot && this.generation === generation;
  }

  /** Fills a buffer from the file; `position` null or left out is the file's own, which advances. */
  read<B extends ArrayBufferView>(
    buffer: B,
    offset?: number | bigint | null,
    length?: number | bigint | null,
    position?: number | bigint | null,
  ): ReadResult<B>;
  read<B extends ArrayBufferView>(buffer: B, options: TransferOptions): ReadResult<B>;
  read<B extends ArrayBufferView = Buffer>(options?: TransferOptions<B>): ReadResult<B>;
  read<B extends ArrayBufferView>(
    first?: B | TransferOptions<B>,
    second?: unknown,
    third?: unknown,
    fourth?: unknown,
  ): ReadResult<B> {
    // The plain form, whole numbers within bounds, goes straight to the hit path.
    if (
      first instanceof Uint8Array &&
      typeof second === 'number' &&
      typeof third === 'number' &&
      typeof fourth === 'number' &&
      Number.isSafeInteger(fourth) &&
      fourth >= 0 &&
      Number.isSafeInteger(second) &&
      second >= 0 &&
      Number.isSafeInteger(third) &&
      third >= 0 &&
      second + third <= first.byteLength
    ) {
      return { bytesRead: this.readAt(first, second, third, fourth), buffer: first as unknown as B };
    }
    const { buffer, bytes, offset, length, position } = readTransfer<B>(first, second, third, fourth);
    const bytesRead = this.readAt(bytes, offset, length, position < 0 ? this.position : position);
    if (position < 0) this.position += bytesRead;
    return { bytesRead, buffer };
  }

  /** Writes; `position` null or left out is the file's own, which advances; at the end for a file opened to append. */
  write<B extends ArrayBufferView>(
    buffer: B,
    offset?: number | bigint | null,
    length?: number | bigint | null,
    position?: number | bigint | null,
  ): WriteResult<B>;
  write<B extends ArrayBufferView>(buffer: B, options: TransferOptions): WriteResult<B>;
  write(options: TransferOptions): WriteResult;
  write(text: string, position?: number | bigint | null, encoding?: BufferEncoding): WriteResult<string>;
  write(first: unknown, second?: unknown, third?: unknown, fourth?: unknown): WriteResult<unknown> {
    const { buffer, bytes, offset, length, position } = writeTransfer(first, second, third, fourth);
    const bytesWritten = this.writeFrom(bytes, offset, length, position);
    return { bytesWritten, buffer: typeof first === 'string' ? first : buffer };
  }

  readv<B extends ArrayBufferView>(
    buffers: readonly B[],
    position?: number | bigint | null,
  ): { bytesRead: number; buffers: readonly B[] } {
    const list = checkBuffers(buffers);
    const at = checkPosition(position);
    const from = at < 0 ? this.position : at;
    let bytesRead = 0;
    if (list.length > 1 && this.session.hot.readsWhole) {
      // One read, as the scheme makes a promise about it.
      const whole = new Uint8Array(lengthOf(list));
      bytesRead = this.readAt(whole, 0, whole.byteLength, from);
      scatter(whole.subarray(0, bytesRead), list);
    } else {
      for (const bytes of list) {
        const n = this.readAt(bytes, 0, bytes.byteLength, from + bytesRead);
        bytesRead += n;
        if (n < bytes.byteLength) break;
      }
    }
    if (at < 0) this.position += bytesRead;
    return { bytesRead, buffers };
  }

  writev<B extends ArrayBufferView>(
    buffers: readonly B[],
    position?: number | bigint | null,
  ): { bytesWritten: number; buffers: readonly B[] } {
    // One write, so that it is one operation to others, as writev(2) is.
    const whole = Buffer.concat(checkBuffers(buffers));
    return { bytesWritten: this.writeFrom(whole, 0, whole.byteLength, checkPosition(position)), buffers };
  }

  /** What is left of the file from its own position on. */
  readFile(options?: { encoding?: BufferEncoding | null } | BufferEncoding | null): Buffer | string {
    const encoding = typeof options === 'string' ? options : options?.encoding;
    checkFileSize(this.stat().size);
    const pieces: Buffer[] = [];
    for (;;) {
      const left = Math.max(0, this.stat().size - this.position);
      const piece = Buffer.allocUnsafeSlow(Math.min(READ_FILE_BYTES, left + 1));
      const { bytesRead } = this.read(piece, 0, piece.byteLength);
      pieces.push(piece.subarray(0, bytesRead));
      if (bytesRead === 0) break;
    }
    const whole = Buffer.concat(pieces);
    return encoding ? whole.toString(encoding) : whole;
  }

  /** Writes all of `data` from the file's own position on. */
  writeFile(
    data: string | ArrayBufferView,
    options?: { encoding?: BufferEncoding | null } | BufferEncoding | null,
  ): void {
    this.writeAll(data, options, -1);
  }

  /** Writes all of `data` at the file's end. */
  appendFile(
    data: string | ArrayBufferView,
    options?: { encoding?: BufferEncoding | null } | BufferEncoding | null,
  ): void {
    this.writeAll(data, options, APPEND_POSITION);
  }

  truncate(length: number | bigint = 0): void {
    this.change('ftruncate', truncate(this.task, this.session.engine, this.slot, checkBytes('length', length)));
  }

  stat(): FileStat {
    this.check('fstat');
    return statOf(this.session, this.slot);
  }

  /** Data and all that is known of the file durable; throws what writeback met since the last call. */
  sync(): void {
    this.runSync('fsync', sync);
  }

  /** Data, and what is needed to read them back, durable; throws as `sync`. */
  datasync(): void {
    this.runSync('fdatasync', datasync);
  }

  fallocate(position: number | bigint, length: number | bigint, options: KeepSize = {}): void {
    const [at, count] = positiveRange('fallocate', position, length);
    this.change(
      'fallocate',
      fallocate(this.task, this.session.engine, this.slot, at, count, options.keepSize === true),
    );
  }

  punchHole(position: number | bigint, length: number | bigint): void {
    const [at, count] = positiveRange('punchHole', position, length);
    this.change('punchHole', punchHole(this.task, this.session.engine, this.slot, at, count));
  }

  zeroRange(position: number | bigint, length: number | bigint, options: KeepSize = {}): void {
    const [at, count] = positiveRange('zeroRange', position, length);
    this.change(
      'zeroRange',
      zeroRange(this.task, this.session.engine, this.slot, at, count, options.keepSize === true),
    );
  }

  collapseRange(position: number | bigint, length: number | bigint): void {
    const [at, count] = positiveRange('collapseRange', position, length);
    this.change('collapseRange', collapseRange(this.task, this.session.engine, this.slot, at, count));
  }

  insertRange(position: number | bigint, length: number | bigint): void {
    const [at, count] = positiveRange('insertRange', position, length);
    this.change('insertRange', insertRange(this.task, this.session.engine, this.slot, at, count));
  }

  /** posix_fadvise: a length of 0 or none means to the end. */
  advise(advice: FileAdvice, position: number | bigint = 0, length: number | bigint = 0): void {
    const known = ADVICE[checkAdvice(advice)];
    const [at, count] = checkRange(position, length);
    this.run('advise', advise(this.task, this.session.engine, this.slot, this.readahead, known, at, count));
  }

  /** Where the next data start, at or after `position`. ENXIO where there are none. */
  nextData(position: number | bigint): number {
    const at = checkBytes('position', position);
    return this.run('nextData', nextData(this.task, this.session.engine, this.slot, at));
  }

  /** Where the next hole starts, at or after `position`; the end of the file is one. ENXIO past the end. */
  nextHole(position: number | bigint): number {
    const at = checkBytes('position', position);
    return this.run('nextHole', nextHole(this.task, this.session.engine, this.slot, at));
  }

  extents(): FileExtent[] {
    return this.run('extents', extentsOf(this.task, this.session.engine, this.slot));
  }

  /**
   * What the range consists of, up to the end of the file: data, holes, and what is allocated and not written. At most
   * `limit` segments. Nothing is written back for it.
   */
  segments(position: number | bigint, length: number | bigint, limit = Number.POSITIVE_INFINITY): FileSegment[] {
    const [at, count] = checkRange(position, length);
    return this.run('segments', segmentsOf(this.task, this.session.engine, this.slot, at, count, limit));
  }

  /** Up to `limit` extents from the first that ends behind `position`. */
  extentsFrom(position: number, limit: number): FileExtent[] {
    return this.run('extents', extentsOf(this.task, this.session.engine, this.slot, position, limit));
  }

  /** A zero-copy window on the page that holds `position`. ENXIO past the end. */
  pin(position: number | bigint, options: { write?: boolean } = {}): PinnedPage {
    const at = checkBytes('position', position);
    this.checkAccess('pin', Access.Read);
    if (options.write === true) this.checkAccess('pin', Access.Write);
    return this.run('pin', PinnedPage.make(this.session, this.slot, at, options.write === true));
  }

  /** What is cached: bytes read, fewer where the rest is not there, or -1 where `read` would have to wait. */
  tryRead(target: Uint8Array, offset: number, length: number, position: number): number {
    this.checkAccess('read', Access.Read);
    checkTransfer(target, offset, length, position);
    return this.session.hot.readHit(this.task, this.slot, target, offset, length, position);
  }

  /** Writes all of it into cached pages and returns `length`; or nothing, and -1, where `write` would have to wait. */
  tryWrite(source: Uint8Array, offset: number, length: number, position: number): number {
    this.checkAccess('write', Access.Write);
    checkTransfer(source, offset, length, position);
    if ((this.access & Access.Append) !== 0) return -1;
    return this.session.hot.writeHit(this.task, this.slot, source, offset, length, position);
  }

  /**
   * Takes one of the file's eight advisory locks, at once or not at all: `shared` beside others that are, `exclusive` alone.
   * One that is held already changes its mode, or stays as it is. Also false where another tries at the same moment. A lock
   * goes with `unlock`, with `close`, and with the end of the thread.
   */
  tryLock(lane: number, mode: LockMode): boolean {
    this.check('lock');
    return this.session.fileLocks.tryLock(this.record, checkLane(lane), checkLockMode(mode));
  }

  unlock(lane: number): void {
    this.check('unlock');
    this.session.fileLocks.unlock(this.record, checkLane(lane));
  }

  /** Whether another open file, of any thread, holds the advisory lock. */
  isLocked(lane: number): boolean {
    this.check('lock');
    return this.session.fileLocks.isLocked(this.record, checkLane(lane));
  }

  createReadStream(options: ReadStreamOptions = {}): Readable {
    return readStream(this, options);
  }

  createWriteStream(options: WriteStreamOptions = {}): Writable {
    return writeStream(this, options);
  }

  readableWebStream(options: WebStreamOptions = {}): ReadableStream<Uint8Array> {
    return webStream(this, options);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.onClose(this);
    // A store that is closing releases what is open itself.
    if (!this.session.isOpen) return;
    const slot = this.session.openFiles.clear(this.record) as Slot;
    if (slot < 0) return;
    const { inodes } = this.session.engine;
    if (!inodes.put(this.task, slot)) this.session.run('close', inodes.release(this.task, slot));
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Reads until `length` bytes or the end of the file. */
  readAt(target: Uint8Array, offset: number, length: number, position: number): number {
    const { session, slot } = this;
    if (this.closed || (this.access & Access.Read) === 0 || !session.isOpen) this.checkAccess('read', Access.Read);
    const hit = session.hot.readHit(session.task, slot, target, offset, length, position);
    if (hit === length || (hit >= 0 && session.hot.readsWhole)) return hit;
    const done = Math.max(hit, 0);
    return (
      done +
      this.run(
        'read',
        read(session.task, session.engine, slot, this.readahead, target, offset + done, length - done, position + done),
      )
    );
  }

  /** Writes at `position`, at the file's own (-1), or at the end (APPEND_POSITION); short only where space ran out. */
  writeFrom(source: Uint8Array, offset: number, length: number, position: number): number {
    const { session, slot } = this;
    if (this.closed || (this.access & Access.Write) === 0 || !session.isOpen) this.checkAccess('write', Access.Write);
    const append = position === APPEND_POSITION || (this.access & Access.Append) !== 0;
    const at = append ? APPEND : position < 0 ? this.position : position;
    let n = append ? -1 : session.hot.writeHit(session.task, slot, source, offset, length, at);
    if (n < 0) n = this.run('write', write(session.task, session.engine, slot, source, offset, length, at));
    if (position === -1) this.position = append ? this.stat().size : at + n;
    return n;
  }

  private writeAll(data: string | ArrayBufferView, options: unknown, position: number): void {
    const encoding = typeof options === 'string' ? options : (options as { encoding?: string } | null)?.encoding;
    const bytes = dataBytes(data, (encoding ?? 'utf8') as BufferEncoding);
    let done = 0;
    while (done < bytes.byteLength) done += this.writeFrom(bytes, done, bytes.byteLength - done, position);
  }

  /** The cursor of reported errors lives in the open file's record, which all threads that serve the file share. */
  private runSync(syscall: string, routine: typeof sync): void {
    const { arena, openFiles, engine } = this.session;
    this.check(syscall);
    const at = openFiles.at(this.record) + OpenFile.ErrorSequence;
    const cursor = new ErrorCursor(arena, this.slot);
    cursor.sequence = arena.words[at];
    try {
      this.run(syscall, routine(this.task, engine, this.slot, cursor));
    } finally {
      arena.words[at] = cursor.sequence;
    }
  }

  private get readahead(): ReadaheadState {
    this.readaheadState ??= readaheadOf(this.session, this.record, this.slot);
    return this.readaheadState;
  }

  private get task() {
    return this.session.task;
  }

  private run<T>(syscall: string, routine: Routine<T>): T {
    this.check(syscall);
    try {
      return this.session.run(syscall, routine);
    } catch (error) {
      throw withPath(error, syscall, this.name);
    }
  }

  private change(syscall: string, routine: Routine<void>): void {
    this.checkAccess(syscall, Access.Write);
    this.run(syscall, routine);
  }

  private check(syscall: string): void {
    if (this.closed) throw new StoreError('EBADF', { syscall, path: this.name, detail: 'the file is closed' });
    this.session.checkState(syscall);
  }

  private checkAccess(syscall: string, needed: Access): void {
    this.check(syscall);
    if ((this.access & needed) !== 0) return;
    const how = needed === Access.Read ? 'reading' : 'writing';
    throw new StoreError('EBADF', { syscall, path: this.name, detail: `the file is not open for ${how}` });
  }
}

/** As `writeFrom`'s position: the end of the file. */
export const APPEND_POSITION = -2;

/** The file's readahead state, in its record, which all threads that serve the file share. */
function readaheadOf(session: Session, record: number, slot: Slot): ReadaheadState {
  const { cache } = session.engine;
  const pagesMax = Math.max(1, Math.floor(READAHEAD_BYTES_MAX / session.blockBytes));
  const at = session.openFiles.at(record) + OpenFile.Readahead;
  return new ReadaheadState(session.arena.unsigned, at, pagesMax, (index) => {
    const frame = cache.find(slot, index);
    if (frame !== 0) cache.unpin(frame);
    return frame !== 0;
  });
}

export function positiveRange(syscall: string, position: unknown, length: unknown): [number, number] {
  const range = checkRange(position, length);
  if (range[1] === 0) throw new StoreError('EINVAL', { syscall, detail: 'the length is 0' });
  return range;
}
