/**
 * One connection of a device to its NBD server, in the transmission phase: requests out, replies in, many at once.
 *
 * Device thread only. Data go from and to the caller's memory without a copy in between. A connection ends once, by `lost`,
 * with the jobs that it still owes an answer for. `isOver` tells whether the server itself has ended it, and so does
 * nothing more of what it was asked here; a connection that we gave up (no reply in time, nonsense in a reply) may yet be
 * served at its other end.
 */
import { Buffer } from 'node:buffer';
import type { Connected } from '../nbd/client-handshake.js';
import {
  CHUNK_ERROR,
  CHUNK_HEADER_BYTES,
  Chunk,
  ChunkFlag,
  Command,
  ErrorCode,
  REQUEST_BYTES,
  SIMPLE_REPLY_BYTES,
  SIMPLE_REPLY_MAGIC,
  STRUCTURED_REPLY_MAGIC,
} from '../nbd/constants.js';
import { putRequest, readUint64 } from '../nbd/messages.js';

export interface Job {
  command: Command;
  positionBytes: number;
  lengthBytes: number;
  /** What a write sends, or a read fills. */
  data: Buffer | null;
  error: ErrorCode;
  /** What the server says about the error. */
  message: string;
  /** Bytes of a read that have come. */
  received: number;
  settle(job: Job): void;
}

export interface ConnectionOwner {
  lost(connection: NbdConnection, unanswered: Job[], isOver: boolean, reason: string): void;
}

const enum Stage {
  Header,
  /** The rest of a chunk's header. */
  ChunkHeader,
  /** A payload that is looked at whole: the offset of data, a hole, an error. */
  Small,
  /** Data, on their way to the reader. */
  Data,
}

const SMALL_BYTES_MAX = 64 * 1024;

export class NbdConnection {
  private readonly jobs = new Map<number, Job>();
  private readonly socket: Connected['socket'];
  private cookie = 0;
  private stage = Stage.Header;
  private readonly small = Buffer.alloc(SMALL_BYTES_MAX);
  private smallFilled = 0;
  private smallWanted = SIMPLE_REPLY_BYTES;
  /** The reply that is being read: its request, and the cookie of that. */
  private job: Job | null = null;
  private answered = 0;
  private chunkType = 0;
  private chunkFlags = 0;
  private dataAt = 0;
  private dataLeft = 0;
  private isEnded = false;
  private isRetiring = false;
  /** When a reply last came, or was first waited for. */
  private heardAt = 0;

  constructor(
    connected: Connected,
    private readonly owner: ConnectionOwner,
  ) {
    this.socket = connected.socket;
    this.socket.on('data', (chunk: Buffer) => this.receive(chunk));
    this.socket.on('end', () => this.end(true, 'the server closed the connection'));
    this.socket.on('error', (error) => this.end(true, error.message));
    this.socket.on('close', () => this.end(true, 'the connection was closed'));
    if (connected.rest.byteLength > 0) this.receive(connected.rest);
    this.socket.resume();
  }

  /** Requests without an answer. */
  get load(): number {
    return this.jobs.size;
  }

  get isOpen(): boolean {
    return !this.isEnded && !this.isRetiring;
  }

  send(job: Job): void {
    if (this.jobs.size === 0) this.heardAt = performance.now();
    this.cookie = (this.cookie + 1) % 2 ** 32;
    this.jobs.set(this.cookie, job);
    job.received = 0;
    job.error = ErrorCode.None;
    job.message = '';
    const header = Buffer.allocUnsafe(REQUEST_BYTES);
    putRequest(header, 0, 0, job.command, 0, this.cookie, job.positionBytes, job.lengthBytes);
    if (job.command !== Command.Write) {
      this.socket.write(header);
      return;
    }
    this.socket.cork();
    this.socket.write(header);
    this.socket.write(job.data as Buffer);
    this.socket.uncork();
  }

  /** Sends no more, and closes when all is answered. */
  retire(): void {
    this.isRetiring = true;
    if (this.jobs.size > 0 || this.isEnded) return;
    const header = Buffer.alloc(REQUEST_BYTES);
    putRequest(header, 0, 0, Command.Disconnect, 0, 0, 0, 0);
    this.socket.end(header);
    this.end(true, 'the connection was closed');
  }

  /** Gives the connection up when a request has waited too long. */
  checkSilence(timeoutMs: number): void {
    if (this.jobs.size > 0 && performance.now() - this.heardAt > timeoutMs) {
      this.end(false, `no reply for ${timeoutMs / 1000} s`);
    }
  }

  private end(isOver: boolean, reason: string): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.socket.destroy();
    const unanswered = [...this.jobs.values()];
    this.jobs.clear();
    this.owner.lost(this, unanswered, isOver, reason);
  }

  private receive(chunk: Buffer): void {
    this.heardAt = performance.now();
    for (let at = 0; at < chunk.byteLength && !this.isEnded; ) {
      if (this.stage === Stage.Data) {
        at += this.takeData(chunk, at);
        continue;
      }
      const count = Math.min(this.smallWanted - this.smallFilled, chunk.byteLength - at);
      chunk.copy(this.small, this.smallFilled, at, at + count);
      this.smallFilled += count;
      at += count;
      if (this.smallFilled === this.smallWanted) this.step();
    }
  }

  private takeData(chunk: Buffer, at: number): number {
    const job = this.job as Job;
    const count = Math.min(this.dataLeft, chunk.byteLength - at);
    chunk.copy(job.data as Buffer, this.dataAt, at, at + count);
    this.dataAt += count;
    this.dataLeft -= count;
    job.received += count;
    if (this.dataLeft === 0) this.chunkDone();
    return count;
  }

  /** What was wanted whole is there. */
  private step(): void {
    switch (this.stage) {
      case Stage.Header:
        this.header();
        break;
      case Stage.ChunkHeader:
        this.chunkHeader();
        break;
      default:
        this.payload();
    }
  }

  private header(): void {
    const magic = this.small.readUInt32BE(0);
    if (magic === STRUCTURED_REPLY_MAGIC) {
      this.want(Stage.ChunkHeader, CHUNK_HEADER_BYTES, SIMPLE_REPLY_BYTES);
      return;
    }
    if (magic !== SIMPLE_REPLY_MAGIC) {
      this.nonsense('no reply begins like that');
      return;
    }
    if (!this.findJob() || this.job === null) {
      this.nonsense('a reply to no request');
      return;
    }
    this.chunkFlags = ChunkFlag.Done;
    this.job.error = this.small.readUInt32BE(4);
    if (this.job.command !== Command.Read || this.job.error !== ErrorCode.None) {
      this.chunkDone();
      return;
    }
    this.dataAt = 0;
    this.dataLeft = this.job.lengthBytes;
    this.stage = Stage.Data;
  }

  /** The job that a reply's header is about. */
  private findJob(): boolean {
    this.answered = this.small.readUInt32BE(12);
    this.job = this.jobs.get(this.answered) ?? null;
    return this.job !== null;
  }

  private chunkHeader(): void {
    const { small } = this;
    this.chunkFlags = small.readUInt16BE(4);
    this.chunkType = small.readUInt16BE(6);
    const length = small.readUInt32BE(16);
    if (!this.findJob() || this.job === null) {
      this.nonsense('a reply to no request');
      return;
    }
    if (this.chunkType === Chunk.OffsetData) {
      if (length < 9 || this.job.command !== Command.Read) {
        this.nonsense('data that nobody asked for');
        return;
      }
      this.dataLeft = length - 8;
      this.want(Stage.Small, 8, 0);
    } else if (length === 0) {
      this.chunkDone();
    } else if (length > SMALL_BYTES_MAX) {
      this.nonsense(`a chunk of type ${this.chunkType} with ${length} bytes`);
    } else {
      this.want(Stage.Small, length, 0);
    }
  }

  private payload(): void {
    const { small, smallWanted } = this;
    const job = this.job as Job;
    if (this.chunkType === Chunk.OffsetData) {
      const at = this.place(readUint64(small, 0), this.dataLeft);
      if (at < 0) {
        this.nonsense('data from elsewhere');
        return;
      }
      this.dataAt = at;
      this.stage = Stage.Data;
      return;
    }
    if (this.chunkType === Chunk.OffsetHole && smallWanted === 12 && job.command === Command.Read) {
      const length = small.readUInt32BE(8);
      const at = this.place(readUint64(small, 0), length);
      if (at < 0) {
        this.nonsense('a hole elsewhere');
        return;
      }
      (job.data as Buffer).fill(0, at, at + length);
      job.received += length;
    } else if ((this.chunkType & CHUNK_ERROR) !== 0 && smallWanted >= 6) {
      job.error = small.readUInt32BE(0) || ErrorCode.Io;
      job.message = small.toString('utf8', 6, Math.min(smallWanted, 6 + small.readUInt16BE(4)));
    } else {
      this.nonsense(`a chunk of type ${this.chunkType}`);
      return;
    }
    this.chunkDone();
  }

  /** Where a part of a read goes in its buffer; -1 when it is not part of it. */
  private place(offset: number, length: number): number {
    const { positionBytes, lengthBytes } = this.job as Job;
    const at = offset - positionBytes;
    return at >= 0 && at + length <= lengthBytes ? at : -1;
  }

  private chunkDone(): void {
    const job = this.job as Job;
    this.want(Stage.Header, SIMPLE_REPLY_BYTES, 0);
    if ((this.chunkFlags & ChunkFlag.Done) === 0) return;
    this.jobs.delete(this.answered);
    if (job.command === Command.Read && job.error === ErrorCode.None && job.received !== job.lengthBytes) {
      job.error = ErrorCode.Io;
      job.message = `a reply with ${job.received} of ${job.lengthBytes} bytes`;
    }
    job.settle(job);
    if (this.isRetiring) this.retire();
  }

  private want(stage: Stage, bytes: number, filled: number): void {
    this.stage = stage;
    this.smallWanted = bytes;
    this.smallFilled = filled;
  }

  private nonsense(what: string): void {
    this.end(false, `the server sends nonsense: ${what}`);
  }
}
