/** Streams over a file: Node's and the web's, reading and writing at positions of their own. */
import { Buffer } from 'node:buffer';
import { Readable, Writable } from 'node:stream';
import { outOfRange } from '../errors.js';
import { checkBytes } from './arguments.js';

/** What streams need of a file; both `File` and, with plain values, `SyncFile` have it. */
export interface StreamFile {
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
  /** Bytes read at once. Default 256 KiB. */
  highWaterMark?: number;
  /** Close the file at the end. Default true, as in `FileHandle.createReadStream`. */
  autoClose?: boolean;
  signal?: AbortSignal;
}

export interface WriteStreamOptions {
  /** Where the first byte goes. Default 0. */
  start?: number;
  encoding?: BufferEncoding;
  highWaterMark?: number;
  autoClose?: boolean;
  signal?: AbortSignal;
}

const STREAM_BYTES = 256 * 1024;

export function readStream(file: StreamFile, options: ReadStreamOptions): Readable {
  const end = options.end === undefined ? Number.MAX_SAFE_INTEGER : checkBytes('end', options.end) + 1;
  let at = options.start === undefined ? 0 : checkBytes('start', options.start);
  if (at > end) throw outOfRange('start', `<= "end" (here: ${end - 1})`, at);
  const highWaterMark = options.highWaterMark ?? STREAM_BYTES;
  return new Readable({
    highWaterMark,
    ...(options.encoding === undefined ? {} : { encoding: options.encoding }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    read() {
      const piece = Buffer.allocUnsafeSlow(Math.max(0, Math.min(highWaterMark, end - at)));
      const reading = piece.byteLength === 0 ? 0 : file.readAt(piece, 0, piece.byteLength, at);
      const deliver = (n: number): void => {
        at += n;
        this.push(n === 0 ? null : piece.subarray(0, n));
      };
      if (typeof reading === 'number') deliver(reading);
      else reading.then(deliver, (error) => this.destroy(error));
    },
    destroy: closer(file, options.autoClose),
  });
}

export function writeStream(file: StreamFile, options: WriteStreamOptions): Writable {
  let at = options.start === undefined ? 0 : checkBytes('start', options.start);
  const writeAll = async (chunk: Uint8Array): Promise<void> => {
    for (let sent = 0; sent < chunk.byteLength; ) {
      const n = await file.writeFrom(chunk, sent, chunk.byteLength - sent, at);
      sent += n;
      at += n;
    }
  };
  return new Writable({
    highWaterMark: options.highWaterMark ?? STREAM_BYTES,
    ...(options.encoding === undefined ? {} : { defaultEncoding: options.encoding }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    write(chunk: Uint8Array, _encoding, done) {
      writeAll(chunk).then(() => done(), done);
    },
    destroy: closer(file, options.autoClose),
  });
}

/** The file's bytes from its start, as a web stream. */
export function webStream(file: StreamFile): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const piece = new Uint8Array(STREAM_BYTES);
      const n = await file.readAt(piece, 0, piece.byteLength, at);
      at += n;
      if (n === 0) controller.close();
      else controller.enqueue(piece.subarray(0, n));
    },
  });
}

type Destroy = (error: Error | null, done: (error?: Error | null) => void) => void;

function closer(file: StreamFile, autoClose = true): Destroy {
  return (error, done) => {
    if (!autoClose) return done(error);
    Promise.resolve(file.close()).then(() => done(error), done);
  };
}
