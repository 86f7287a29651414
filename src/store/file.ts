/**
 * An open file of the thread that opened the store: `File`, shaped like `fs.promises.FileHandle`.
 *
 * A read or write that finds its pages in the cache and its locks free is done in place, before the promise is made;
 * everything else is a request to the service threads. This thread never holds a lock across a turn of its event loop.
 * Larger reads and writes than a request carries go piece by piece: each piece is one operation to others.
 */
import { Buffer } from 'node:buffer';
import type { Readable, Writable } from 'node:stream';
import { StoreError } from '../errors.js';
import { sizeOf } from '../inode/inode.js';
import type { Slot } from '../units.js';
import {
  Access,
  type Advice,
  checkAdvice,
  checkBuffers,
  checkBytes,
  checkPosition,
  checkTransfer,
} from './arguments.js';
import { decodeJson, EXTENTS_BATCH, Operation, SEGMENTS_MAX } from './operations.js';
import { TRANSFER_BYTES } from './request-ring.js';
import type { Receive, ServiceClient } from './service-client.js';
import type { Session } from './session.js';
import { type FileExtent, type FileSegment, type FileStat, statOf } from './stat.js';
import type { ReadStreamOptions, WebStreamOptions, WriteStreamOptions } from './streams.js';
import { readStream, webStream, writeStream } from './streams.js';
import { APPEND_POSITION, type KeepSize, positiveRange } from './sync-file.js';
import {
  checkFileSize,
  checkRange,
  dataBytes,
  type FileData,
  isIterable,
  lengthOf,
  type ReadResult,
  readTransfer,
  scatter,
  type TransferOptions,
  type WriteResult,
  writeTransfer,
} from './transfer.js';

type EncodingOption = { encoding?: BufferEncoding | null; signal?: AbortSignal } | BufferEncoding | null;

export class File {
  private readonly slot: Slot;
  private readonly access: number;
  private position = 0;
  /** The last use of the file's own position: uses follow each other. */
  private turn: Promise<unknown> = Promise.resolve();
  private closing: Promise<void> | undefined;
  /** Operations under way, and who waits for their end. */
  private active = 0;
  private onIdle: () => void = ignore;

  /** @internal Users call `store.open`. */
  constructor(
    private readonly session: Session,
    private readonly client: ServiceClient,
    /** The name it was opened by. */
    readonly name: string,
    private readonly record: number,
    private readonly onClose: (file: File) => void,
  ) {
    this.slot = session.openFiles.slot(record) as Slot;
    this.access = session.openFiles.access(record);
  }

  /** Fills a buffer from the file; `position` null or left out is the file's own, which advances. */
  read<B extends ArrayBufferView>(
    buffer: B,
    offset?: number | bigint | null,
    length?: number | bigint | null,
    position?: number | bigint | null,
  ): Promise<ReadResult<B>>;
  read<B extends ArrayBufferView>(buffer: B, options: TransferOptions): Promise<ReadResult<B>>;
  read<B extends ArrayBufferView = Buffer>(options?: TransferOptions<B>): Promise<ReadResult<B>>;
  async read<B extends ArrayBufferView>(
    first?: B | TransferOptions<B>,
    second?: unknown,
    third?: unknown,
    fourth?: unknown,
  ): Promise<ReadResult<B>> {
    const { buffer, bytes, offset, length, position } = readTransfer<B>(first, second, third, fourth);
    this.checkAccess('read', Access.Read);
    if (position < 0) return { bytesRead: await this.readOn(bytes, offset, length), buffer };
    const hit = this.readHere(bytes, offset, length, position);
    if (this.isAll(hit, length)) return { bytesRead: hit, buffer };
    return { bytesRead: await this.readRest(bytes, offset, length, position, Math.max(hit, 0)), buffer };
  }

  /** Writes; `position` null or left out is the file's own, which advances; at the end for a file opened to append. */
  write<B extends ArrayBufferView>(
    buffer: B,
    offset?: number | bigint | null,
    length?: number | bigint | null,
    position?: number | bigint | null,
  ): Promise<WriteResult<B>>;
  write<B extends ArrayBufferView>(buffer: B, options: TransferOptions): Promise<WriteResult<B>>;
  write(options: TransferOptions): Promise<WriteResult>;
  write(text: string, position?: number | bigint | null, encoding?: BufferEncoding): Promise<WriteResult<string>>;
  async write(first: unknown, second?: unknown, third?: unknown, fourth?: unknown): Promise<WriteResult<unknown>> {
    const { buffer, bytes, offset, length, position } = writeTransfer(first, second, third, fourth);
    const bytesWritten = await this.writeFrom(bytes, offset, length, position);
    return { bytesWritten, buffer: typeof first === 'string' ? first : buffer };
  }

  async readv<B extends ArrayBufferView>(
    buffers: readonly B[],
    position?: number | bigint | null,
  ): Promise<{ bytesRead: number; buffers: readonly B[] }> {
    const list = checkBuffers(buffers);
    const at = checkPosition(position);
    this.checkAccess('read', Access.Read);
    const readAll = async (from: number): Promise<number> => {
      let bytesRead = 0;
      if (list.length > 1 && this.session.hot.readsWhole) {
        const whole = new Uint8Array(lengthOf(list));
        bytesRead = await this.readPieces(whole, 0, whole.byteLength, from);
        scatter(whole.subarray(0, bytesRead), list);
        return bytesRead;
      }
      for (const bytes of list) {
        const n = await this.readPieces(bytes, 0, bytes.byteLength, from + bytesRead);
        bytesRead += n;
        if (n < bytes.byteLength) break;
      }
      return bytesRead;
    };
    if (at >= 0) return { bytesRead: await readAll(at), buffers };
    return this.inTurn(async () => {
      const bytesRead = await readAll(this.position);
      this.position += bytesRead;
      return { bytesRead, buffers };
    });
  }

  async writev<B extends ArrayBufferView>(
    buffers: readonly B[],
    position?: number | bigint | null,
  ): Promise<{ bytesWritten: number; buffers: readonly B[] }> {
    const whole = Buffer.concat(checkBuffers(buffers));
    return { bytesWritten: await this.writeFrom(whole, 0, whole.byteLength, checkPosition(position)), buffers };
  }

  /** What is left of the file from its own position on. */
  async readFile(options?: EncodingOption): Promise<Buffer | string> {
    const encoding = typeof options === 'string' ? options : options?.encoding;
    const signal = typeof options === 'object' ? options?.signal : undefined;
    this.checkAccess('read', Access.Read);
    checkFileSize(sizeOf(this.session.arena, this.slot));
    const pieces: Buffer[] = [];
    this.active += 1;
    try {
      for (let bytesRead = -1; bytesRead !== 0; ) {
        signal?.throwIfAborted();
        const left = Math.max(0, sizeOf(this.session.arena, this.slot) - this.position);
        const piece = Buffer.allocUnsafeSlow(Math.min(TRANSFER_BYTES, left + 1));
        bytesRead = await this.readOn(piece, 0, piece.byteLength);
        pieces.push(piece.subarray(0, bytesRead));
      }
    } finally {
      this.leave();
    }
    const whole = Buffer.concat(pieces);
    return encoding ? whole.toString(encoding) : whole;
  }

  /** Writes all of `data` from the file's own position on. */
  writeFile(data: FileData, options?: EncodingOption): Promise<void> {
    return this.writeAll(data, options, -1);
  }

  /** Writes all of `data` at the file's end. */
  appendFile(data: FileData, options?: EncodingOption): Promise<void> {
    return this.writeAll(data, options, APPEND_POSITION);
  }

  async truncate(length: number | bigint = 0): Promise<void> {
    await this.change(Operation.Truncate, 'ftruncate', [checkBytes('length', length)]);
  }

  async stat(): Promise<FileStat> {
    this.check('fstat');
    return statOf(this.session, this.slot);
  }

  /** Data and all that is known of the file durable; throws what writeback met since the last call. */
  async sync(): Promise<void> {
    await this.call(Operation.Sync, 'fsync', [], null, ignore);
  }

  /** Data, and what is needed to read them back, durable; throws as `sync`. */
  async datasync(): Promise<void> {
    await this.call(Operation.Datasync, 'fdatasync', [], null, ignore);
  }

  async fallocate(position: number | bigint, length: number | bigint, options: KeepSize = {}): Promise<void> {
    const range = positiveRange('fallocate', position, length);
    await this.change(Operation.Fallocate, 'fallocate', [...range, Number(options.keepSize === true)]);
  }

  async punchHole(position: number | bigint, length: number | bigint): Promise<void> {
    await this.change(Operation.PunchHole, 'punchHole', positiveRange('punchHole', position, length));
  }

  async zeroRange(position: number | bigint, length: number | bigint, options: KeepSize = {}): Promise<void> {
    const range = positiveRange('zeroRange', position, length);
    await this.change(Operation.ZeroRange, 'zeroRange', [...range, Number(options.keepSize === true)]);
  }

  async collapseRange(position: number | bigint, length: number | bigint): Promise<void> {
    await this.change(Operation.CollapseRange, 'collapseRange', positiveRange('collapseRange', position, length));
  }

  async insertRange(position: number | bigint, length: number | bigint): Promise<void> {
    await this.change(Operation.InsertRange, 'insertRange', positiveRange('insertRange', position, length));
  }

  /** posix_fadvise: a length of 0 or none means to the end. */
  async advise(advice: Advice, position: number | bigint = 0, length: number | bigint = 0): Promise<void> {
    const number = checkAdvice(advice);
    await this.call(Operation.Advise, 'advise', [...checkRange(position, length), number], null, ignore);
  }

  /** Where the next data start, at or after `position`. ENXIO where there are none. */
  async nextData(position: number | bigint): Promise<number> {
    return this.call(Operation.NextData, 'nextData', [checkBytes('position', position)], null, firstNumber);
  }

  /** Where the next hole starts, at or after `position`; the end of the file is one. ENXIO past the end. */
  async nextHole(position: number | bigint): Promise<number> {
    return this.call(Operation.NextHole, 'nextHole', [checkBytes('position', position)], null, firstNumber);
  }

  async extents(): Promise<FileExtent[]> {
    const all: FileExtent[] = [];
    for (;;) {
      const from = all.length === 0 ? 0 : all[all.length - 1].position + all[all.length - 1].length;
      const batch = await this.call(Operation.Extents, 'extents', [from], null, (_numbers, bytes) =>
        decodeJson<FileExtent[]>(bytes),
      );
      all.push(...batch);
      if (batch.length < EXTENTS_BATCH) return all;
    }
  }

  /**
   * What the range consists of, up to the end of the file: data, holes, and what is allocated and not written. At most
   * `limit` segments, and no more than 8192. Nothing is written back for it.
   */
  async segments(position: number | bigint, length: number | bigint, limit = SEGMENTS_MAX): Promise<FileSegment[]> {
    const [at, count] = checkRange(position, length);
    const numbers = [at, count, Math.min(limit, SEGMENTS_MAX)];
    return this.call(Operation.Segments, 'segments', numbers, null, (_numbers, bytes) =>
      decodeJson<FileSegment[]>(bytes),
    );
  }

  /** What is cached, at once: bytes read, fewer where the rest is not there, or -1 where `read` would have to wait. */
  tryRead(target: Uint8Array, offset: number, length: number, position: number): number {
    this.checkAccess('read', Access.Read);
    checkTransfer(target, offset, length, position);
    return this.session.hot.readHit(this.session.task, this.slot, target, offset, length, position);
  }

  /** Writes all of it into cached pages, at once, and returns `length`; or nothing, and -1, where `write` would wait. */
  tryWrite(source: Uint8Array, offset: number, length: number, position: number): number {
    this.checkAccess('write', Access.Write);
    checkTransfer(source, offset, length, position);
    if ((this.access & Access.Append) !== 0) return -1;
    return this.session.hot.writeHit(this.session.task, this.slot, source, offset, length, position);
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

  close(): Promise<void> {
    this.closing ??= this.finish();
    return this.closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Reads until `length` bytes or the end of the file; what the read and write forms and the streams come down to. */
  async readAt(target: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    this.checkAccess('read', Access.Read);
    return this.readPieces(target, offset, length, position);
  }

  /** Writes at `position`, at the file's own (-1), or at the end (APPEND_POSITION); short only where space ran out. */
  async writeFrom(source: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    this.checkAccess('write', Access.Write);
    return this.writeAnywhere(source, offset, length, position);
  }

  private async writeAnywhere(source: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    if (position === APPEND_POSITION || (this.access & Access.Append) !== 0) {
      const n = await this.writePieces(source, offset, length, APPEND_POSITION);
      if (position === -1) this.position = sizeOf(this.session.arena, this.slot);
      return n;
    }
    if (position >= 0) return this.writePieces(source, offset, length, position);
    return this.inTurn(async () => {
      const n = await this.writePieces(source, offset, length, this.position);
      this.position += n;
      return n;
    });
  }

  /** Reads at the file's own position. */
  private readOn(target: Uint8Array, offset: number, length: number): Promise<number> {
    return this.inTurn(async () => {
      const n = await this.readPieces(target, offset, length, this.position);
      this.position += n;
      return n;
    });
  }

  private async readPieces(target: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    const hit = this.readHere(target, offset, length, position);
    return this.isAll(hit, length) ? hit : this.readRest(target, offset, length, position, Math.max(hit, 0));
  }

  private readHere(target: Uint8Array, offset: number, length: number, position: number): number {
    const { session } = this;
    return session.hot.readHit(session.task, this.slot, target, offset, length, position);
  }

  private isAll(hit: number, length: number): boolean {
    return hit === length || (hit >= 0 && this.session.hot.readsWhole);
  }

  private async readRest(
    target: Uint8Array,
    offset: number,
    length: number,
    position: number,
    hit: number,
  ): Promise<number> {
    let done = hit;
    this.active += 1;
    try {
      while (done < length) {
        const piece = Math.min(TRANSFER_BYTES, length - done);
        const at = offset + done;
        const n = await this.request(Operation.Read, [position + done, piece], null, (_numbers, bytes) => {
          target.set(bytes, at);
          return bytes.byteLength;
        });
        done += n;
        if (n < piece) break;
      }
    } finally {
      this.leave();
    }
    return done;
  }

  private async writePieces(source: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    const { session } = this;
    if (position >= 0) {
      const n = session.hot.writeHit(session.task, this.slot, source, offset, length, position);
      if (n === length) return n;
    }
    let done = 0;
    this.active += 1;
    try {
      do {
        const piece = Math.min(TRANSFER_BYTES, length - done);
        const at = offset + done;
        const to = position < 0 ? position : position + done;
        const bytes = source.subarray(at, at + piece);
        const n = await this.request(Operation.Write, [to, piece], bytes, firstNumber);
        done += n;
        if (n < piece) break;
      } while (done < length);
    } catch (error) {
      // What was written before the failure is told first, as write(2) does; the next call meets the failure again.
      if (done === 0) throw error;
    } finally {
      this.leave();
    }
    return done;
  }

  private async writeAll(data: FileData, options: EncodingOption | undefined, position: number): Promise<void> {
    const encoding = (typeof options === 'string' ? options : options?.encoding) ?? 'utf8';
    const signal = typeof options === 'object' ? options?.signal : undefined;
    this.checkAccess('write', Access.Write);
    this.active += 1;
    try {
      for await (const piece of isIterable(data) ? data : [data]) {
        signal?.throwIfAborted();
        const bytes = dataBytes(piece, encoding);
        for (let done = 0; done < bytes.byteLength; ) {
          done += await this.writeAnywhere(bytes, done, bytes.byteLength - done, position);
        }
      }
    } finally {
      this.leave();
    }
  }

  private inTurn<T>(use: () => Promise<T>): Promise<T> {
    const result = this.turn.then(use, use);
    this.turn = result;
    result.catch(() => {});
    return result;
  }

  private change(operation: Operation, syscall: string, numbers: readonly number[]): Promise<void> {
    this.checkAccess(syscall, Access.Write);
    return this.call(operation, syscall, numbers, null, ignore);
  }

  /** One request that is an operation of its own. */
  private async call<T>(
    operation: Operation,
    syscall: string,
    numbers: readonly number[],
    bytes: Uint8Array | null,
    receive: Receive<T>,
  ): Promise<T> {
    this.check(syscall);
    this.active += 1;
    try {
      return await this.request(operation, numbers, bytes, receive);
    } finally {
      this.leave();
    }
  }

  private request<T>(
    operation: Operation,
    numbers: readonly number[],
    bytes: Uint8Array | null,
    receive: Receive<T>,
  ): Promise<T> {
    return this.client.call(operation, [this.record, ...numbers], bytes, receive, this.name);
  }

  private leave(): void {
    this.active -= 1;
    if (this.active === 0) this.onIdle();
  }

  /** For what begins now; what has begun goes on while file and store are being closed. */
  private check(syscall: string): void {
    if (this.closing !== undefined) {
      throw new StoreError('EBADF', { syscall, path: this.name, detail: 'the file is closed' });
    }
    const { session } = this;
    if (session.isOpen) return;
    session.checkState(syscall);
    throw new StoreError('EBADF', { syscall, path: this.name, detail: 'the store is closing' });
  }

  private checkAccess(syscall: string, needed: Access): void {
    this.check(syscall);
    if ((this.access & needed) !== 0) return;
    const how = needed === Access.Read ? 'reading' : 'writing';
    throw new StoreError('EBADF', { syscall, path: this.name, detail: `the file is not open for ${how}` });
  }

  /** Waits for what is under way: the record and its inode must not go to others before. */
  private async finish(): Promise<void> {
    await this.turn.catch(ignore);
    if (this.active > 0) {
      await new Promise<void>((resolve) => {
        this.onIdle = resolve;
      });
    }
    this.onClose(this);
    const { session } = this;
    const slot = session.openFiles.slot(this.record) as Slot;
    // The last reference of a deleted file frees its blocks, which sleeps. A store that is closing does so for all its files.
    if (slot >= 0 && session.isOpen) await this.request(Operation.Close, [], null, ignore);
  }
}

function ignore(): void {}

function firstNumber(numbers: Float64Array): number {
  return numbers[0];
}
