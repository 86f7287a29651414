/**
 * The transmission phase of one connection: requests in, replies out, in whatever order they get done.
 *
 * Opening thread only. `feed` walks through what has arrived. What the cache can answer is answered in place, straight from
 * the socket's buffer and into the outbox; everything else is an operation of the store that goes on while later requests are
 * served. A payload is written as it arrives: in place where the cache takes it, and gathered into pieces where it does not.
 *
 * 1. Every request that is not answered in place holds a charge (budget.ts) from before its buffer is taken until its reply has
 *    left. While the charge for the next one is not granted, the socket is paused, and the walk stands still.
 * 2. A request is accepted when its header has been walked over, a write when its payload has. `finish` accepts no more, and
 *    ends when all that were are answered.
 * 3. A block is written whole: where a connection ends in the middle of a payload, no block has half of it.
 * 4. Offsets and lengths are checked against the size that the client was told, before anything else.
 * 5. The file is closed after the last operation on it.
 */
import { Buffer } from 'node:buffer';
import type { Duplex } from 'node:stream';
import type { File } from '../../index.js';
import { Command, CommandFlag, ErrorCode, REQUEST_BYTES } from '../../nbd/constants.js';
import type { Share } from './budget.js';
import { type BufferPool, HEADER_ROOM_BYTES } from './buffer-pool.js';
import type { Agreement } from './handshake.js';
import { operate } from './operations.js';
import { Outbox, SLAB_REPLY_BYTES_MAX } from './outbox.js';
import { Replies } from './replies.js';
import { Request } from './request.js';
import { checkRequest, failureOf, type RequestLimits } from './request-rules.js';
import { readInto } from './socket-reader.js';
import { SyncLine } from './sync-line.js';

/** What a request holds besides its data. */
const OVERHEAD_BYTES = 512;
/** Data that one operation of the store carries, and that are written while the rest is still coming. */
const PIECE_BYTES = 1024 * 1024;
/** As many bytes as the store writes in place at once. */
const IN_PLACE_BYTES = 64 * 1024;
const NOTHING = Buffer.alloc(0);

export class Session {
  private readonly socket: Duplex;
  /** Requests that came with the end of the negotiation. */
  private readonly early: Buffer;
  private readonly outbox: Outbox;
  private readonly replies: Replies;
  private readonly syncs: SyncLine;
  private readonly file: File;
  private readonly limits: RequestLimits;
  private readonly header = Buffer.alloc(REQUEST_BYTES);
  private headerBytes = 0;
  private chunk: Buffer = NOTHING;
  private at = 0;
  /** The request whose header was read last. */
  private request = new Request();
  /** Its payload that is still to come, and the piece that it goes to. */
  private payloadLeft = 0;
  private piece: Buffer | null = null;
  private pieceBytes = 0;
  private pieceFilled = 0;
  /** Waits for a charge. */
  private isBlocked = false;
  /** Reads no more requests. */
  private isClosing = false;
  private isGone = false;
  /** Who waits for a charge that will not come then. */
  private readonly whenGone = new Set<(error: Error) => void>();
  /** Operations of the store under way. */
  private active = 0;
  private readonly onIdle: (() => void)[] = [];
  /** How often the client has sent or taken something; at the last tick; ticks without. */
  private progress = 0;
  private progressSeen = 0;
  private stalledTicks = 0;
  readonly done: Promise<void>;
  private settleDone: () => void = () => {};

  constructor(
    agreement: Agreement,
    readonly share: Share,
    private readonly pool: BufferPool,
    readBuffer: Buffer,
    private readonly blockBytes: number,
    private readonly log: (text: string) => void,
  ) {
    this.file = agreement.target.file;
    const { socket, early } = readInto(agreement.socket, readBuffer, (chunk) => this.feed(chunk));
    this.socket = socket;
    this.early = early === null ? agreement.rest : Buffer.concat([agreement.rest, early]);
    this.outbox = new Outbox(this.socket, pool, (charge) => this.released(charge));
    this.replies = new Replies(this.outbox, agreement.isStructured, (buffer) => pool.give(buffer));
    const { isStructured, hasContext, target } = agreement;
    this.limits = { isStructured, hasContext, sizeBytes: target.sizeBytes, isReadOnly: target.isReadOnly };
    this.syncs = new SyncLine(this.file);
    this.done = new Promise((resolve) => {
      this.settleDone = resolve;
    });
  }

  start(): void {
    const { socket, early } = this;
    socket.on('error', (error) => this.log(`connection lost: ${error.message}`));
    socket.on('close', () => this.closed());
    if (socket.destroyed) this.closed();
    else if (early.byteLength > 0) this.feed(early);
    if (!this.isBlocked && !this.isClosing) socket.resume();
  }

  /** Whether the client keeps us waiting: replies that it does not take, or a payload that does not come. */
  private get isHeldUp(): boolean {
    return this.active === 0 && (this.outbox.pendingSends > 0 || this.piece !== null);
  }

  /** At even intervals: how many in a row the client has let us wait. A thread that was busy itself blames nobody. */
  tick(): number {
    this.stalledTicks = this.isHeldUp && this.progress === this.progressSeen ? this.stalledTicks + 1 : 0;
    this.progressSeen = this.progress;
    return this.stalledTicks;
  }

  /** Accepts no more requests, answers those that were, and closes the connection. */
  async finish(): Promise<void> {
    this.isClosing = true;
    this.socket.pause();
    await this.idle();
    this.socket.end();
    // What the client goes on sending is not read, so its end of the connection would not be seen.
    this.socket.resume();
    setTimeout(() => this.socket.destroy(), 1000).unref();
    await this.done;
  }

  destroy(why: string): void {
    if (!this.isGone) this.log(why);
    this.socket.destroy();
  }

  private feed(chunk: Buffer): void {
    if (this.isClosing) return;
    this.progress += 1;
    this.chunk = this.at < this.chunk.byteLength ? Buffer.concat([this.chunk.subarray(this.at), chunk]) : chunk;
    this.at = 0;
    this.walk();
  }

  private walk(): void {
    while (!this.isBlocked && !this.isClosing && this.at < this.chunk.byteLength) {
      if (this.payloadLeft > 0) this.receive();
      else if (this.readHeader()) this.begin();
    }
    this.outbox.flush();
    if (this.isBlocked) {
      this.socket.pause();
      // The buffer that it came in is everybody's.
      this.chunk = Buffer.from(this.chunk.subarray(this.at));
      this.at = 0;
    } else if (this.at >= this.chunk.byteLength) {
      this.chunk = NOTHING;
      this.at = 0;
    }
  }

  /** Runs `go` with a charge: now, or when it is granted, and the walk goes on behind it then. */
  private chargeThen(bytes: number, go: () => void): void {
    const isGranted = this.share.take(bytes, () => {
      this.isBlocked = false;
      go();
      this.walk();
      if (!this.isBlocked && !this.isClosing) this.socket.resume();
    });
    if (isGranted) go();
    else this.isBlocked = true;
  }

  /** Takes a header from the chunk, whole or in parts; false when it is not complete. */
  private readHeader(): boolean {
    const { chunk, header } = this;
    if (this.headerBytes === 0 && chunk.byteLength - this.at >= REQUEST_BYTES) {
      const isSound = this.request.parse(chunk, this.at);
      this.at += REQUEST_BYTES;
      return isSound || this.violated();
    }
    const count = Math.min(REQUEST_BYTES - this.headerBytes, chunk.byteLength - this.at);
    chunk.copy(header, this.headerBytes, this.at, this.at + count);
    this.at += count;
    this.headerBytes += count;
    if (this.headerBytes < REQUEST_BYTES) return false;
    this.headerBytes = 0;
    return this.request.parse(header, 0) || this.violated();
  }

  private violated(): false {
    this.isClosing = true;
    this.destroy('a request without its magic number');
    return false;
  }

  /** A header has been read. */
  private begin(): void {
    const { request } = this;
    request.error = checkRequest(request, this.limits);
    if (request.command === Command.Write) {
      this.payloadLeft = request.length;
      if (this.payloadLeft === 0) this.answer(request, request.error);
      return;
    }
    if (request.command === Command.Disconnect) {
      this.isClosing = true;
      void this.finish();
      return;
    }
    if (request.error !== ErrorCode.None) {
      this.answer(request, request.error);
    } else if (request.command === Command.Read) {
      this.read(request);
    } else {
      this.chargeThen(OVERHEAD_BYTES, () => this.operate(request.copy()));
    }
  }

  private read(request: Request): void {
    const { length, offset } = request;
    if (length === 0) {
      this.replies.empty(request, 0);
      return;
    }
    if (length <= SLAB_REPLY_BYTES_MAX) {
      const target = this.outbox.reserve(length + HEADER_ROOM_BYTES);
      const at = this.outbox.position + this.replies.dataHeaderBytes;
      if (this.file.tryRead(target, at, length, offset) === length) {
        this.replies.dataInSlab(request, length);
        return;
      }
    }
    const isWhole = !this.limits.isStructured || (request.flags & CommandFlag.DontFragment) !== 0;
    if (length > PIECE_BYTES && !isWhole) this.chargeThen(OVERHEAD_BYTES, () => this.readPieces(request.copy()));
    else this.chargeThen(OVERHEAD_BYTES + length, () => this.readWhole(request.copy()));
  }

  /** Reads into a buffer of its own, in place as far as the cache goes. */
  private readWhole(request: Request): void {
    const { length, offset } = request;
    const buffer = this.pool.take(length);
    const hit = Math.max(0, this.file.tryRead(buffer, HEADER_ROOM_BYTES, length, offset));
    if (hit === length) {
      this.replies.data(request, buffer, offset, length, true, OVERHEAD_BYTES + length);
      return;
    }
    this.run(request, OVERHEAD_BYTES + length, async () => {
      try {
        await this.readRest(buffer, hit, length, offset);
      } catch (error) {
        this.pool.give(buffer);
        throw error;
      }
      this.replies.data(request, buffer, offset, length, true, OVERHEAD_BYTES + length);
    });
  }

  private async readRest(buffer: Buffer, from: number, length: number, offset: number): Promise<void> {
    const { bytesRead } = await this.file.read(buffer, HEADER_ROOM_BYTES + from, length - from, offset + from);
    if (from + bytesRead < length) throw new Error('the file has become shorter than the export');
  }

  /** A structured reply in chunks, each read when there is room for it. */
  private readPieces(request: Request): void {
    this.run(request, OVERHEAD_BYTES, async () => {
      const end = request.offset + request.length;
      for (let offset = request.offset; offset < end; ) {
        if (this.isGone) throw new Error('the client is gone');
        const length = Math.min(PIECE_BYTES - (offset % PIECE_BYTES), end - offset);
        await this.granted(length);
        const buffer = this.pool.take(length);
        try {
          await this.readRest(buffer, 0, length, offset);
        } catch (error) {
          this.pool.give(buffer);
          this.share.give(length);
          throw error;
        }
        offset += length;
        const isLast = offset === end;
        this.replies.data(request, buffer, offset - length, length, isLast, length + (isLast ? OVERHEAD_BYTES : 0));
        this.outbox.flushSoon();
      }
    });
  }

  /** A charge that an operation under way waits for. */
  private granted(bytes: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.whenGone.add(reject);
      const go = (): void => {
        this.whenGone.delete(reject);
        resolve();
      };
      if (this.share.take(bytes, go)) go();
    });
  }

  /** Some of a payload has arrived. */
  private receive(): void {
    const { request, chunk } = this;
    const available = chunk.byteLength - this.at;
    if (request.error !== ErrorCode.None) {
      const count = Math.min(available, this.payloadLeft);
      this.at += count;
      this.payloadLeft -= count;
      if (this.payloadLeft === 0) this.answer(request, request.error);
      return;
    }
    if (this.piece !== null) {
      this.fill(available);
      return;
    }
    const offset = request.offset + request.length - this.payloadLeft;
    const inBlock = offset % this.blockBytes;
    // Whole blocks, or all that is left.
    const here =
      available >= this.payloadLeft ? this.payloadLeft : available - ((inBlock + available) % this.blockBytes);
    const count = Math.min(here, IN_PLACE_BYTES - inBlock);
    if (count > 0 && this.file.tryWrite(chunk, this.at, count, offset) === count) {
      this.at += count;
      this.payloadLeft -= count;
      if (this.payloadLeft === 0) this.received(request);
      return;
    }
    const isFirst = !request.isCharged;
    const room = count > 0 ? PIECE_BYTES - (offset % PIECE_BYTES) : this.blockBytes - inBlock;
    const bytes = Math.min(this.payloadLeft, room);
    this.chargeThen(bytes + (isFirst ? OVERHEAD_BYTES : 0), () => {
      request.isCharged = true;
      this.piece = this.pool.take(bytes);
      this.pieceBytes = bytes;
      this.pieceFilled = 0;
    });
  }

  /** The payload is here, all of it; the last of its pieces answers when some are under way. */
  private received(request: Request): void {
    const isSynced = (request.flags & CommandFlag.Fua) !== 0;
    request.isReceived = true;
    if (request.isCharged || isSynced) this.request = new Request();
    if (request.pieces > 0) return;
    if (request.isCharged) this.finishWrite(request, OVERHEAD_BYTES);
    else if (isSynced) this.chargeThen(OVERHEAD_BYTES, () => this.finishWrite(request, OVERHEAD_BYTES));
    else this.answer(request, ErrorCode.None);
  }

  private finishWrite(request: Request, charge: number): void {
    if (request.error === ErrorCode.None && (request.flags & CommandFlag.Fua) !== 0) {
      this.run(request, charge, async () => {
        await this.syncs.sync();
        this.answer(request, ErrorCode.None, charge);
      });
      return;
    }
    this.answer(request, request.error, charge);
    this.outbox.flushSoon();
  }

  private fill(available: number): void {
    const piece = this.piece as Buffer;
    const { request } = this;
    const count = Math.min(available, this.pieceBytes - this.pieceFilled);
    this.chunk.copy(piece, this.pieceFilled, this.at, this.at + count);
    this.at += count;
    this.pieceFilled += count;
    this.payloadLeft -= count;
    if (this.pieceFilled < this.pieceBytes) return;
    const offset = request.offset + request.length - this.payloadLeft - this.pieceBytes;
    this.piece = null;
    this.pieceFilled = 0;
    request.pieces += 1;
    if (this.payloadLeft === 0) this.received(request);
    this.writePiece(request, piece, this.pieceBytes, offset);
  }

  private writePiece(request: Request, piece: Buffer, bytes: number, offset: number): void {
    const done = this.writeInPlace(piece, bytes, offset);
    if (done === bytes) {
      this.pieceDone(request, piece, bytes);
      return;
    }
    this.active += 1;
    this.writeRest(piece, done, bytes, offset)
      .catch((error: unknown) => {
        request.error ||= this.failed(error);
      })
      .finally(() => {
        this.active -= 1;
        this.pieceDone(request, piece, bytes);
      });
  }

  /** As much of a piece as the cache takes at once. */
  private writeInPlace(piece: Buffer, bytes: number, offset: number): number {
    let done = 0;
    while (done < bytes) {
      const count = Math.min(IN_PLACE_BYTES - ((offset + done) % this.blockBytes), bytes - done);
      if (this.file.tryWrite(piece, done, count, offset + done) !== count) break;
      done += count;
    }
    return done;
  }

  private async writeRest(piece: Buffer, from: number, bytes: number, offset: number): Promise<void> {
    for (let done = from; done < bytes; ) {
      const { bytesWritten } = await this.file.write(piece, done, bytes - done, offset + done);
      done += bytesWritten;
    }
  }

  /** A piece is written; with the last one, the request is. */
  private pieceDone(request: Request, piece: Buffer, bytes: number): void {
    this.pool.give(piece);
    request.pieces -= 1;
    if (!request.isReceived || request.pieces > 0) {
      this.share.give(bytes);
      this.checkIdle();
      return;
    }
    this.finishWrite(request, bytes + OVERHEAD_BYTES);
  }

  /** A request without data. */
  private operate(request: Request): void {
    const { file, syncs, replies } = this;
    this.run(request, OVERHEAD_BYTES, () => operate(request, file, syncs, replies, OVERHEAD_BYTES));
  }

  /** Runs what has to wait; a failure is its reply, with the charge that its success would have carried. */
  private run(request: Request, charge: number, work: () => Promise<void>): void {
    this.active += 1;
    work()
      .catch((error: unknown) => {
        this.replies.error(request, this.failed(error), error instanceof Error ? error.message : '', charge);
      })
      .finally(() => {
        this.active -= 1;
        this.outbox.flushSoon();
        this.checkIdle();
      });
  }

  private failed(error: unknown): ErrorCode {
    const code = failureOf(error);
    if (!this.isGone) this.log(`a request failed: ${error instanceof Error ? error.message : String(error)}`);
    return code;
  }

  private answer(request: Request, error: ErrorCode, charge = 0): void {
    if (error === ErrorCode.None) this.replies.empty(request, charge);
    else this.replies.error(request, error, '', charge);
  }

  private released(charge: number): void {
    this.progress += 1;
    if (charge > 0) this.share.give(charge);
    this.checkIdle();
  }

  private idle(): Promise<void> {
    return new Promise((resolve) => {
      this.onIdle.push(resolve);
      this.outbox.flush();
      this.checkIdle();
    });
  }

  private checkIdle(): void {
    if (this.onIdle.length === 0 || this.active > 0) return;
    // A request without payload that waits for its charge has been accepted.
    if (!this.isGone && (!this.outbox.isEmpty || (this.isBlocked && this.payloadLeft === 0))) return;
    for (const settle of this.onIdle.splice(0)) settle();
  }

  /** The connection is gone: what is under way in the store ends, then the file is closed. */
  private closed(): void {
    if (this.isGone) return;
    this.isGone = true;
    this.isClosing = true;
    this.share.close();
    for (const reject of this.whenGone) reject(new Error('the client is gone'));
    this.checkIdle();
    const partial = (this.piece === null ? 0 : this.pieceBytes) + (this.request.isCharged ? OVERHEAD_BYTES : 0);
    if (partial > 0) this.share.give(partial);
    this.piece = null;
    const settle = async (): Promise<void> => {
      while (this.active > 0) await this.idle();
      await this.file.close().catch((error: Error) => this.log(`closing the file failed: ${error.message}`));
      this.settleDone();
    };
    void settle();
  }
}
