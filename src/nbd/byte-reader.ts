/**
 * Reads a negotiation from a socket: so many bytes at a time, in order.
 *
 * At most READ_AHEAD_BYTES are held beyond what is asked for: the socket is paused meanwhile. After `detach` the socket
 * belongs to whoever goes on, with the bytes that `detach` returned in front of what it still gives.
 */
import { Buffer } from 'node:buffer';
import type { Duplex } from 'node:stream';

const READ_AHEAD_BYTES = 64 * 1024;

/** The peer went away, or was sent away. */
export class Disconnected extends Error {
  override readonly name = 'Disconnected';

  constructor(
    message: string,
    /** The host's code, where it was an error of the host's. */
    readonly code?: string | undefined,
  ) {
    super(message);
  }
}

export class ByteReader {
  private readonly chunks: Buffer[] = [];
  private available = 0;
  private wanted = 0;
  private wake: (() => void) | null = null;
  private ended: Disconnected | null = null;
  private readonly onData = (chunk: Buffer): void => {
    this.chunks.push(chunk);
    this.available += chunk.byteLength;
    if (this.available >= this.wanted + READ_AHEAD_BYTES) this.socket.pause();
    this.settle();
  };
  private readonly onEnd = (): void => {
    this.ended ??= new Disconnected('the peer closed the connection');
    this.settle();
  };
  private readonly onError = (error: NodeJS.ErrnoException): void => {
    this.ended ??= new Disconnected(error.message, error.code);
    this.settle();
  };

  constructor(private readonly socket: Duplex) {
    socket.on('data', this.onData).on('end', this.onEnd).on('close', this.onEnd).on('error', this.onError);
  }

  /** The next `count` bytes. */
  async take(count: number): Promise<Buffer> {
    while (this.available < count) await this.more(count);
    const first = this.chunks[0];
    if (first === undefined) return Buffer.alloc(0);
    if (first.byteLength < count) this.chunks.splice(0, this.chunks.length, Buffer.concat(this.chunks));
    const whole = this.chunks[0];
    if (whole.byteLength === count) this.chunks.shift();
    else this.chunks[0] = whole.subarray(count);
    this.available -= count;
    return whole.subarray(0, count);
  }

  /** Throws the next `count` bytes away, without holding them. */
  async skip(count: number): Promise<void> {
    for (let left = count; left > 0; ) left -= (await this.take(Math.min(left, READ_AHEAD_BYTES))).byteLength;
  }

  /** Lets go of the socket, paused; returns what was read too far. */
  detach(): Buffer {
    const { socket } = this;
    socket.pause();
    socket.off('data', this.onData).off('end', this.onEnd).off('close', this.onEnd).off('error', this.onError);
    return Buffer.concat(this.chunks.splice(0));
  }

  private async more(count: number): Promise<void> {
    if (this.ended !== null) throw this.ended;
    this.wanted = count;
    const arrived = new Promise<void>((resolve) => {
      this.wake = resolve;
    });
    this.socket.resume();
    await arrived;
  }

  private settle(): void {
    this.wake?.();
    this.wake = null;
  }
}
