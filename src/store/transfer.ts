/**
 * The arguments of read and write calls, in every form that Node's `FileHandle` takes, brought to one.
 */
import { Buffer } from 'node:buffer';
import { fileTooLarge, invalidArgType } from '../errors.js';
import { checkBuffer, checkBytes, checkExtentOfBuffer, checkPosition } from './arguments.js';

/** One buffer's part in a read or write. `position` -1 means the handle's own. */
export interface Transfer<B extends ArrayBufferView = ArrayBufferView> {
  /** What the caller gave, and gets back in the result. */
  buffer: B;
  bytes: Uint8Array;
  offset: number;
  length: number;
  position: number;
}

export interface TransferOptions<B extends ArrayBufferView = ArrayBufferView> {
  buffer?: B;
  offset?: number | bigint | null;
  length?: number | bigint | null;
  position?: number | bigint | null;
}

export interface ReadResult<B extends ArrayBufferView = ArrayBufferView> {
  bytesRead: number;
  buffer: B;
}

export interface WriteResult<B = ArrayBufferView> {
  bytesWritten: number;
  buffer: B;
}

const DEFAULT_READ_BYTES = 16_384;
/** What `fs` reads into one buffer at the most. */
const FILE_BYTES_MAX = 2 ** 31 - 1;

/** For `readFile`. ERR_FS_FILE_TOO_LARGE, as Node has it. */
export function checkFileSize(sizeBytes: number): void {
  if (sizeBytes > FILE_BYTES_MAX) throw fileTooLarge(sizeBytes);
}

function transferOf<B extends ArrayBufferView>(
  buffer: B,
  offset: unknown,
  length: unknown,
  position: unknown,
): Transfer<B> {
  const bytes = checkBuffer(buffer);
  const count = checkExtentOfBuffer(bytes, offset, length);
  const at = offset === undefined || offset === null ? 0 : Number(offset);
  return { buffer, bytes, offset: at, length: count, position: checkPosition(position) };
}

/** `read(buffer, offset, length, position)`, `read(buffer, options)`, `read(options)`, `read()`. */
export function readTransfer<B extends ArrayBufferView>(
  first: B | TransferOptions<B> | undefined,
  second: unknown,
  length: unknown,
  position: unknown,
): Transfer<B> {
  if (ArrayBuffer.isView(first)) {
    if (typeof second === 'object' && second !== null) {
      const options = second as TransferOptions;
      return transferOf(first as B, options.offset, options.length, options.position);
    }
    return transferOf(first as B, second, length, position);
  }
  if (first !== undefined && (typeof first !== 'object' || first === null)) {
    throw invalidArgType('buffer', 'an instance of Buffer, TypedArray, or DataView', first);
  }
  const options: TransferOptions<B> = first ?? {};
  const buffer = options.buffer ?? (Buffer.alloc(DEFAULT_READ_BYTES) as ArrayBufferView as B);
  return transferOf(buffer, options.offset, options.length, options.position);
}

/**
 * `write(buffer, offset, length, position)`, `write(buffer, options)`, `write(options)`, `write(string, position, encoding)`.
 */
export function writeTransfer<B>(first: B, second: unknown, third: unknown, position: unknown): Transfer {
  if (typeof first === 'string') {
    const encoding = (typeof third === 'string' ? third : 'utf8') as BufferEncoding;
    return transferOf(Buffer.from(first, encoding), 0, undefined, second);
  }
  if (ArrayBuffer.isView(first)) {
    if (typeof second === 'object' && second !== null) {
      const options = second as TransferOptions;
      return transferOf(first, options.offset, options.length, options.position);
    }
    return transferOf(first, second, third, position);
  }
  if (typeof first === 'object' && first !== null && 'buffer' in first) {
    const options = first as TransferOptions;
    return transferOf(options.buffer as ArrayBufferView, options.offset, options.length, options.position);
  }
  throw invalidArgType('buffer', 'a string or an instance of Buffer, TypedArray, or DataView', first);
}

/** What `writeFile` takes: all at once, or in pieces. */
export type FileData =
  | string
  | ArrayBufferView
  | AsyncIterable<string | ArrayBufferView>
  | Iterable<string | ArrayBufferView>;

/** Whether the data come in pieces; a string and a view are one each. */
export function isIterable(data: FileData): data is AsyncIterable<string | ArrayBufferView> {
  if (typeof data !== 'object' || data === null || ArrayBuffer.isView(data)) return false;
  return Symbol.asyncIterator in data || Symbol.iterator in data;
}

/** The bytes of what `writeFile` takes whole. */
export function dataBytes(data: unknown, encoding: BufferEncoding = 'utf8'): Uint8Array {
  return typeof data === 'string' ? Buffer.from(data, encoding) : checkBuffer(data);
}

/** Position and length of a range operation. */
export function checkRange(position: unknown, length: unknown): [number, number] {
  return [checkBytes('position', position), checkBytes('length', length)];
}

/** Bytes that the buffers hold together. */
export function lengthOf(buffers: readonly Uint8Array[]): number {
  return buffers.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** Spreads bytes over buffers that hold at least as many, in their order. */
export function scatter(bytes: Uint8Array, buffers: readonly Uint8Array[]): void {
  let done = 0;
  for (const buffer of buffers) {
    buffer.set(bytes.subarray(done, done + buffer.byteLength));
    done += buffer.byteLength;
    if (done >= bytes.byteLength) break;
  }
}
