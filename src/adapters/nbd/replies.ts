/**
 * Replies of the transmission phase, simple or structured as was agreed.
 *
 * Zeros are sent as holes where structured replies allow: a whole reply that reads as zeros, and inside a larger one every
 * run of whole units of zeros. The chunk headers of a reply with holes are written over the zeros that are not sent, so
 * that the data leave from where they were read to.
 */
import { Buffer } from 'node:buffer';
import type { FileSegment } from '../../index.js';
import {
  Allocation,
  CHUNK_HEADER_BYTES,
  Chunk,
  ChunkFlag,
  CommandFlag,
  ErrorCode,
  SIMPLE_REPLY_BYTES,
} from '../../nbd/constants.js';
import {
  DATA_CHUNK_HEADER_BYTES,
  HOLE_CHUNK_BYTES,
  putChunkHeader,
  putSimpleReply,
  writeUint64,
} from '../../nbd/messages.js';
import { HEADER_ROOM_BYTES } from './buffer-pool.js';
import { CONTEXT_ID } from './exports.js';
import type { Outbox } from './outbox.js';
import type { Request } from './request.js';

/** Inside a reply, zeros become a hole in units of this, counted from the export's start. */
const HOLE_UNIT_BYTES = 16 * 1024;
const ZEROS = Buffer.alloc(HOLE_UNIT_BYTES);
const MESSAGE_BYTES_MAX = 1024;

export class Replies {
  /** In front of the data of a reply in the slab. */
  readonly dataHeaderBytes: number;

  constructor(
    private readonly outbox: Outbox,
    private readonly isStructured: boolean,
    private readonly giveBack: (buffer: Buffer) => void,
  ) {
    this.dataHeaderBytes = isStructured ? DATA_CHUNK_HEADER_BYTES : SIMPLE_REPLY_BYTES;
  }

  /** The data lie in the slab, behind room for a header at the outbox's position. */
  dataInSlab(request: Request, length: number): void {
    const { outbox } = this;
    const slab = outbox.reserve(0);
    const at = outbox.position;
    if (!this.isStructured) {
      putSimpleReply(slab, at, ErrorCode.None, request.cookieHigh, request.cookieLow);
      outbox.advance(SIMPLE_REPLY_BYTES + length, 0);
      return;
    }
    if (isZero(slab, at + DATA_CHUNK_HEADER_BYTES, length)) {
      putHole(slab, at, ChunkFlag.Done, request, request.offset, length);
      outbox.advance(HOLE_CHUNK_BYTES, 0);
      return;
    }
    putDataHeader(slab, at, ChunkFlag.Done, request, request.offset, length);
    outbox.advance(DATA_CHUNK_HEADER_BYTES + length, 0);
  }

  /** `length` bytes for `offset` lie in `buffer` behind HEADER_ROOM_BYTES; the buffer is given back once they have left. */
  data(request: Request, buffer: Buffer, offset: number, length: number, isLast: boolean, charge: number): void {
    const { outbox } = this;
    const end = HEADER_ROOM_BYTES + length;
    if (!this.isStructured) {
      const at = HEADER_ROOM_BYTES - SIMPLE_REPLY_BYTES;
      putSimpleReply(buffer, at, ErrorCode.None, request.cookieHigh, request.cookieLow);
      outbox.add(buffer.subarray(at, end), buffer, charge);
      return;
    }
    const done = isLast ? ChunkFlag.Done : 0;
    if (isZero(buffer, HEADER_ROOM_BYTES, length)) {
      this.giveBack(buffer);
      putHole(outbox.reserve(HOLE_CHUNK_BYTES), outbox.position, done, request, offset, length);
      outbox.advance(HOLE_CHUNK_BYTES, charge);
      return;
    }
    if ((request.flags & CommandFlag.DontFragment) !== 0 || length < 2 * HOLE_UNIT_BYTES) {
      const at = HEADER_ROOM_BYTES - DATA_CHUNK_HEADER_BYTES;
      putDataHeader(buffer, at, done, request, offset, length);
      outbox.add(buffer.subarray(at, end), buffer, charge);
      return;
    }
    this.runs(request, buffer, offset, length, done, charge);
  }

  /** Runs of data and of zeros, in turn. */
  private runs(request: Request, buffer: Buffer, offset: number, length: number, done: number, charge: number): void {
    const { outbox } = this;
    for (let from = 0; from < length; ) {
      const isHole = this.isHoleAt(buffer, offset, from, length);
      let to = from;
      do {
        to = Math.min(length, to + HOLE_UNIT_BYTES - ((offset + to) % HOLE_UNIT_BYTES));
      } while (to < length && this.isHoleAt(buffer, offset, to, length) === isHole);
      const isLast = to === length;
      const flags = isLast ? done : 0;
      const at = HEADER_ROOM_BYTES + from;
      let bytes: Buffer;
      if (isHole) {
        putHole(buffer, at, flags, request, offset + from, to - from);
        bytes = buffer.subarray(at, at + HOLE_CHUNK_BYTES);
      } else {
        // Over the room for a header, or over the end of a hole.
        const start = at - DATA_CHUNK_HEADER_BYTES;
        putDataHeader(buffer, start, flags, request, offset + from, to - from);
        bytes = buffer.subarray(start, HEADER_ROOM_BYTES + to);
      }
      outbox.add(bytes, isLast ? buffer : null, isLast ? charge : 0);
      from = to;
    }
  }

  /** Whether a whole unit of zeros begins at `from`; what is left of a unit at either end counts as data. */
  private isHoleAt(buffer: Buffer, offset: number, from: number, length: number): boolean {
    if ((offset + from) % HOLE_UNIT_BYTES !== 0 || from + HOLE_UNIT_BYTES > length) return false;
    return isZero(buffer, HEADER_ROOM_BYTES + from, HOLE_UNIT_BYTES);
  }

  /** Success without data. */
  empty(request: Request, charge: number): void {
    const { outbox } = this;
    const slab = outbox.reserve(CHUNK_HEADER_BYTES);
    const at = outbox.position;
    const { cookieHigh, cookieLow } = request;
    if (this.isStructured && request.command === 0) {
      putChunkHeader(slab, at, ChunkFlag.Done, Chunk.None, cookieHigh, cookieLow, 0);
      outbox.advance(CHUNK_HEADER_BYTES, charge);
    } else {
      putSimpleReply(slab, at, ErrorCode.None, cookieHigh, cookieLow);
      outbox.advance(SIMPLE_REPLY_BYTES, charge);
    }
  }

  error(request: Request, error: ErrorCode, text: string, charge: number): void {
    const { outbox } = this;
    const { cookieHigh, cookieLow } = request;
    if (!this.isStructured) {
      putSimpleReply(outbox.reserve(SIMPLE_REPLY_BYTES), outbox.position, error, cookieHigh, cookieLow);
      outbox.advance(SIMPLE_REPLY_BYTES, charge);
      return;
    }
    const message = Buffer.from(text).subarray(0, MESSAGE_BYTES_MAX);
    const length = 6 + message.byteLength;
    const slab = outbox.reserve(CHUNK_HEADER_BYTES + length);
    const at = outbox.position;
    putChunkHeader(slab, at, ChunkFlag.Done, Chunk.Error, cookieHigh, cookieLow, length);
    slab.writeUInt32BE(error, at + CHUNK_HEADER_BYTES);
    slab.writeUInt16BE(message.byteLength, at + CHUNK_HEADER_BYTES + 4);
    message.copy(slab, at + CHUNK_HEADER_BYTES + 6);
    outbox.advance(CHUNK_HEADER_BYTES + length, charge);
  }

  blockStatus(request: Request, segments: readonly FileSegment[], charge: number): void {
    const { outbox } = this;
    const payload = 4 + 8 * segments.length;
    const slab = outbox.reserve(CHUNK_HEADER_BYTES + payload);
    let at = outbox.position;
    const { cookieHigh, cookieLow } = request;
    putChunkHeader(slab, at, ChunkFlag.Done, Chunk.BlockStatus, cookieHigh, cookieLow, payload);
    at += CHUNK_HEADER_BYTES;
    slab.writeUInt32BE(CONTEXT_ID, at);
    for (const { length, kind } of segments) {
      const flags = kind === 'data' ? 0 : kind === 'hole' ? Allocation.Hole | Allocation.Zero : Allocation.Zero;
      slab.writeUInt32BE(length, at + 4);
      slab.writeUInt32BE(flags, at + 8);
      at += 8;
    }
    outbox.advance(CHUNK_HEADER_BYTES + payload, charge);
  }
}

function putDataHeader(
  target: Buffer,
  at: number,
  flags: number,
  { cookieHigh, cookieLow }: Request,
  offset: number,
  length: number,
): void {
  putChunkHeader(target, at, flags, Chunk.OffsetData, cookieHigh, cookieLow, length + 8);
  writeUint64(target, offset, at + CHUNK_HEADER_BYTES);
}

function putHole(
  target: Buffer,
  at: number,
  flags: number,
  { cookieHigh, cookieLow }: Request,
  offset: number,
  length: number,
): void {
  putChunkHeader(target, at, flags, Chunk.OffsetHole, cookieHigh, cookieLow, 12);
  writeUint64(target, offset, at + CHUNK_HEADER_BYTES);
  target.writeUInt32BE(length, at + CHUNK_HEADER_BYTES + 8);
}

/** Most data are told from zeros by their first byte. */
function isZero(bytes: Buffer, at: number, length: number): boolean {
  if (bytes[at] !== 0 || bytes[at + length - 1] !== 0) return false;
  for (let done = 0; done < length; done += HOLE_UNIT_BYTES) {
    const count = Math.min(HOLE_UNIT_BYTES, length - done);
    if (bytes.compare(ZEROS, 0, count, at + done, at + done + count) !== 0) return false;
  }
  return true;
}
