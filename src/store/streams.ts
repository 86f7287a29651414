/**
 * Streams over a file: Node's and the web's, reading and writing at positions of their own.
 *
 * What is cached is read and written in place, without a promise; the rest goes the way of plain reads and writes.
 *
 * 1. At most one piece is under way, and none is begun before the consumer has room.
 * 2. After TURN_BYTES the event loop gets its turn: a signal or a timer of the program is kept waiting neither by a file
 *    that is cached nor by one that is used synchronously.
 * 3. A piece is the consumer's own from then on: its memory is never used again.
 */
import { Buffer } from 'node:buffer';
import { Readable, Writable } from 'node:stream';
import type { UnderlyingByteSource, UnderlyingSource } from 'node:stream/web';
import { outOfRange } from '../errors.js';
import { checkBytes } from './arguments.js';

/** What streams need of a file; both `File` and, with plain values, `SyncFile` have it. */
export interface StreamFile {
  tryRead(target: Uint8Array, offset: number, length: number, position: number): number;
  tryWrite(source: Uint8Array, offset: number, length: number, position: number): number;
  readAt(target: Uint8Array, offset: number, length: number, position: number): Promise<number> | number;
  writeFrom(source: Uint8Array, offset: number, length: number, position: number): Promise<number> | number;
  close(): Promise<void> | void;
}

export interface ReadStreamOptions {
  /** First byte. Default 0. */
  start?: number;
  /** Last byte, inclusive, as in `fs.createReadStream`. */
  end?: number;
  encoding?: BufferEncoding;
  /** Bytes read at once. Default 64 KiB, as in `fs.createReadStream`. */
  highWaterMark?: number;
  /** Close the file at the end. Default true, as in `FileHandle.createReadStream`. */
  autoClose?: boolean;
  signal?: AbortSignal;
}

export interface WriteStreamOptions {
  /** Where the first byte goes. Default 0. */
  start?: number;
  encoding?: BufferEncoding;
  /** Bytes that may wait before `write` says false. Default 256 KiB. */
  highWaterMark?: number;
  autoClose?: boolean;
  signal?: AbortSignal;
}

export interface WebStreamOptions {
  /** `'bytes'`: a byte stream, whose readers of mode `byob` have it read into their own buffers. */
  type?: 'bytes' | undefined;
  /** First byte. Default 0. */
  start?: number;
  /** Last byte, inclusive. */
  end?: number;
  /** Bytes read at once, for readers that bring no buffer of their own. Default 64 KiB. */
  highWaterMark?: number;
  signal?: AbortSignal;
}

/** Most allocators keep memory of this size for the next one; larger pieces cost a page fault for each of their pages. */
const STREAM_BYTES = 64 * 1024;
/** What one write in place takes. */
const WRITE_BYTES = 64 * 1024;
/** Two to four milliseconds of copying. */
const TURN_BYTES = 8 * 1024 * 1024;

/** Reads a range of a file, piece by piece. */
class Cursor {
  private readonly end: number;
  private at: number;
  private sinceTurn = 0;

  constructor(
    private readonly file: StreamFile,
    options: { start?: number; end?: number },
  ) {
    this.end = options.end === undefined ? Number.MAX_SAFE_INTEGER : checkBytes('end', options.end) + 1;
    this.at = options.start === undefined ? 0 : checkBytes('start', options.start);
    if (this.at > this.end) throw outOfRange('start', `<= "end" (here: ${this.end - 1})`, this.at);
  }

  left(bytes: number): number {
    return Math.max(0, Math.min(bytes, this.end - this.at));
  }

  /** Fills `piece`: how many bytes there were, 0 at the end. A promise where it took more than the cache. */
  read(piece: Uint8Array): number | Promise<number> {
    const length = this.left(piece.byteLength);
    if (length === 0) return 0;
    const hit = this.sinceTurn < TURN_BYTES ? this.file.tryRead(piece, 0, length, this.at) : -1;
    if (hit === length) {
      this.at += length;
      this.sinceTurn += length;
      return length;
    }
    return this.readSlowly(piece, Math.max(0, hit), length);
  }

  private async readSlowly(piece: Uint8Array, hit: number, length: number): Promise<number> {
    if (this.sinceTurn >= TURN_BYTES) {
      await turn();
      this.sinceTurn = 0;
    }
    const n = hit + (await this.file.readAt(piece, hit, length - hit, this.at + hit));
    this.at += n;
    this.sinceTurn += n;
    return n;
  }
}

export function readStream(file: StreamFile, options: ReadStreamOptions): Readable {
  const cursor = new Cursor(file, options);
  const highWaterMark = options.highWaterMark ?? STREAM_BYTES;
  return new Readable({
    highWaterMark,
    ...(options.encoding === undefined ? {} : { encoding: options.encoding }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    read() {
      const piece = Buffer.allocUnsafeSlow(cursor.left(highWaterMark));
      const reading = cursor.read(piece);
      if (typeof reading === 'number') {
        this.push(filledPart(piece, reading));
        return;
      }
      reading.then(
        (n) => this.push(filledPart(piece, n)),
        (error) => this.destroy(error),
      );
    },
    destroy: closer(file, options.autoClose),
  });
}

export function writeStream(file: StreamFile, options: WriteStreamOptions): Writable {
  let at = options.start === undefined ? 0 : checkBytes('start', options.start);
  let sinceTurn = 0;
  /** Writes what can be written in place, and returns how much that was. */
  const writeHere = (chunk: Uint8Array): number => {
    let sent = 0;
    while (sent < chunk.byteLength && sinceTurn < TURN_BYTES) {
      const n = file.tryWrite(chunk, sent, Math.min(WRITE_BYTES, chunk.byteLength - sent), at);
      if (n <= 0) break;
      sent += n;
      at += n;
      sinceTurn += n;
    }
    return sent;
  };
  const writeSlowly = async (chunk: Uint8Array, from: number): Promise<void> => {
    let sent = from;
    while (sent < chunk.byteLength) {
      if (sinceTurn >= TURN_BYTES) {
        await turn();
        sinceTurn = 0;
      }
      const n = await file.writeFrom(chunk, sent, chunk.byteLength - sent, at);
      sent += n;
      at += n;
      sinceTurn += n;
    }
  };
  return new Writable({
    highWaterMark: options.highWaterMark ?? STREAM_BYTES * 4,
    ...(options.encoding === undefined ? {} : { defaultEncoding: options.encoding }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    write(chunk: Uint8Array, _encoding, done) {
      let sent: number;
      try {
        sent = writeHere(chunk);
      } catch (error) {
        done(error as Error);
        return;
      }
      if (sent === chunk.byteLength) done();
      else writeSlowly(chunk, sent).then(() => done(), done);
    },
    destroy: closer(file, options.autoClose),
  });
}

/** The file's bytes as a web stream. Nothing is read ahead of the reader. */
export function webStream(file: StreamFile, options: WebStreamOptions = {}): ReadableStream<Uint8Array> {
  const source = new WebSource(file, options);
  return options.type === 'bytes'
    ? (new ReadableStream(source as UnderlyingByteSource) as ReadableStream<Uint8Array>)
    : new ReadableStream(source as UnderlyingSource<Uint8Array>, { highWaterMark: 0 });
}

/** Null at the end. */
function filledPart(piece: Buffer, n: number): Buffer | null {
  if (n === piece.byteLength && n > 0) return piece;
  return n === 0 ? null : piece.subarray(0, n);
}

type Controller = ReadableByteStreamController | ReadableStreamDefaultController<Uint8Array>;

/** The source of a web stream, of bytes or not. */
class WebSource {
  readonly type: 'bytes' | undefined;
  private readonly cursor: Cursor;
  private readonly bytes: number;
  private readonly signal: AbortSignal | undefined;
  private onAbort = (): void => {};

  constructor(file: StreamFile, options: WebStreamOptions) {
    this.type = options.type;
    this.cursor = new Cursor(file, options);
    this.bytes = options.highWaterMark ?? STREAM_BYTES;
    this.signal = options.signal;
  }

  start(controller: Controller): void {
    const { signal } = this;
    if (signal === undefined) return;
    this.onAbort = () => controller.error(signal.reason);
    if (signal.aborted) this.onAbort();
    else signal.addEventListener('abort', this.onAbort, { once: true });
  }

  pull(controller: Controller): void | Promise<void> {
    const request = this.requestOf(controller);
    const piece =
      (request?.view as Uint8Array | null | undefined) ??
      Buffer.allocUnsafeSlow(Math.max(1, this.cursor.left(this.bytes)));
    const reading = this.cursor.read(piece);
    if (typeof reading === 'number') return this.deliver(controller, request, piece, reading);
    return reading.then((n) => {
      if (this.signal?.aborted !== true) this.deliver(controller, this.requestOf(controller), piece, n);
    });
  }

  cancel(): void {
    this.signal?.removeEventListener('abort', this.onAbort);
  }

  /** The buffer that a reader has brought; null where it brought none. */
  private requestOf(controller: Controller): ReadableStreamBYOBRequest | null {
    return this.type === 'bytes' ? (controller as ReadableByteStreamController).byobRequest : null;
  }

  private deliver(
    controller: Controller,
    request: ReadableStreamBYOBRequest | null,
    piece: Uint8Array,
    n: number,
  ): void {
    if (n === 0) {
      this.cancel();
      controller.close();
      request?.respond(0);
    } else if (request !== null) request.respond(n);
    else controller.enqueue(n === piece.byteLength ? piece : piece.subarray(0, n));
  }
}

/** Lets the event loop go round. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

type Destroy = (error: Error | null, done: (error?: Error | null) => void) => void;

function closer(file: StreamFile, autoClose = true): Destroy {
  return (error, done) => {
    if (!autoClose) return done(error);
    Promise.resolve(file.close()).then(() => done(error), done);
  };
}
