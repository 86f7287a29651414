/**
 * Messages of the NBD protocol as bytes: what either side writes, at a place in a buffer or as a buffer of its own. No I/O
 * and no state; any thread.
 */
import { Buffer } from 'node:buffer';
import {
  CHUNK_HEADER_BYTES,
  type Info,
  OPTION_HEADER_BYTES,
  OPTION_MAGIC_HIGH,
  OPTION_MAGIC_LOW,
  OPTION_REPLY_HEADER_BYTES,
  OPTION_REPLY_MAGIC_HIGH,
  OPTION_REPLY_MAGIC_LOW,
  REQUEST_MAGIC,
  SIMPLE_REPLY_MAGIC,
  STRUCTURED_REPLY_MAGIC,
} from './constants.js';

const TWO_32 = 2 ** 32;

export function writeUint64(target: Buffer, value: number, at: number): void {
  target.writeUInt32BE(Math.floor(value / TWO_32), at);
  target.writeUInt32BE(value % TWO_32, at + 4);
}

/** A 64-bit integer as a double: exact below 2^53, and above it still above it. */
export function readUint64(source: Buffer, at: number): number {
  return source.readUInt32BE(at) * TWO_32 + source.readUInt32BE(at + 4);
}

/** An option as a client sends it. */
export function encodeOption(option: number, data: Uint8Array): Buffer {
  const message = Buffer.allocUnsafe(OPTION_HEADER_BYTES + data.byteLength);
  message.writeUInt32BE(OPTION_MAGIC_HIGH, 0);
  message.writeUInt32BE(OPTION_MAGIC_LOW, 4);
  message.writeUInt32BE(option, 8);
  message.writeUInt32BE(data.byteLength, 12);
  message.set(data, OPTION_HEADER_BYTES);
  return message;
}

/** A server's reply to an option. */
export function encodeOptionReply(option: number, type: number, data: Uint8Array): Buffer {
  const message = Buffer.allocUnsafe(OPTION_REPLY_HEADER_BYTES + data.byteLength);
  message.writeUInt32BE(OPTION_REPLY_MAGIC_HIGH, 0);
  message.writeUInt32BE(OPTION_REPLY_MAGIC_LOW, 4);
  message.writeUInt32BE(option, 8);
  message.writeUInt32BE(type, 12);
  message.writeUInt32BE(data.byteLength, 16);
  message.set(data, OPTION_REPLY_HEADER_BYTES);
  return message;
}

/** A string behind its length in 32 bits. */
export function encodeString(text: string): Buffer {
  const bytes = Buffer.from(text);
  const message = Buffer.allocUnsafe(4 + bytes.byteLength);
  message.writeUInt32BE(bytes.byteLength, 0);
  message.set(bytes, 4);
  return message;
}

/** The data of LIST_META_CONTEXT and SET_META_CONTEXT. */
export function encodeContextQueries(exportName: string, queries: readonly string[]): Buffer {
  const count = Buffer.allocUnsafe(4);
  count.writeUInt32BE(queries.length, 0);
  return Buffer.concat([encodeString(exportName), count, ...queries.map(encodeString)]);
}

/** The data of INFO and GO. */
export function encodeInfoRequest(exportName: string, wanted: readonly Info[]): Buffer {
  const list = Buffer.allocUnsafe(2 + 2 * wanted.length);
  list.writeUInt16BE(wanted.length, 0);
  for (const [i, info] of wanted.entries()) list.writeUInt16BE(info, 2 + 2 * i);
  return Buffer.concat([encodeString(exportName), list]);
}

export function putRequest(
  target: Buffer,
  at: number,
  flags: number,
  command: number,
  cookieHigh: number,
  cookieLow: number,
  offset: number,
  length: number,
): void {
  target.writeUInt32BE(REQUEST_MAGIC, at);
  target.writeUInt16BE(flags, at + 4);
  target.writeUInt16BE(command, at + 6);
  target.writeUInt32BE(cookieHigh, at + 8);
  target.writeUInt32BE(cookieLow, at + 12);
  writeUint64(target, offset, at + 16);
  target.writeUInt32BE(length, at + 24);
}

export function putSimpleReply(target: Buffer, at: number, error: number, cookieHigh: number, cookieLow: number): void {
  target.writeUInt32BE(SIMPLE_REPLY_MAGIC, at);
  target.writeUInt32BE(error, at + 4);
  target.writeUInt32BE(cookieHigh, at + 8);
  target.writeUInt32BE(cookieLow, at + 12);
}

/** The header of a structured reply's chunk; `length` bytes of payload follow. */
export function putChunkHeader(
  target: Buffer,
  at: number,
  flags: number,
  type: number,
  cookieHigh: number,
  cookieLow: number,
  length: number,
): void {
  target.writeUInt32BE(STRUCTURED_REPLY_MAGIC, at);
  target.writeUInt16BE(flags, at + 4);
  target.writeUInt16BE(type, at + 6);
  target.writeUInt32BE(cookieHigh, at + 8);
  target.writeUInt32BE(cookieLow, at + 12);
  target.writeUInt32BE(length, at + 16);
}

export const DATA_CHUNK_HEADER_BYTES = CHUNK_HEADER_BYTES + 8;
export const HOLE_CHUNK_BYTES = CHUNK_HEADER_BYTES + 12;
