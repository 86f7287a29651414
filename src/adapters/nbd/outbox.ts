/**
 * Replies of one connection on their way to its socket, gathered so that one system call takes many.
 *
 * Small replies are written one behind another into a slab (`reserve`, then `advance`), large ones bring a buffer of
 * their own (`add`). `flush` sends what has gathered; `flushSoon` does so once the code that runs now has ended. Each reply
 * carries the charge of its request, which is given back when the socket has taken the bytes, and buffers return to the pool
 * then.
 *
 * Invariants: 1. bytes leave in the order in which they were put here; 2. a slab is written only behind what was sent from
 * it, and what is gathered of slabs is of the current one; 3. a slab returns to the pool when nothing of it is gathered or on
 * its way, so an idle connection holds none.
 */
import type { Buffer } from 'node:buffer';
import type { Duplex } from 'node:stream';
import type { BufferPool } from './buffer-pool.js';

/** Replies up to here go into the slab. */
export const SLAB_REPLY_BYTES_MAX = 32 * 1024;
const SLAB_BYTES = 128 * 1024;
/** Gathered bytes that are sent without waiting for more. */
const SEND_BYTES = 256 * 1024;

interface Slab {
  buffer: Buffer;
  /** Sends that are not done. */
  sends: number;
}

export class Outbox {
  private slab: Slab | null = null;
  /** Bytes [sent, filled) of the slab wait to be gathered. */
  private sent = 0;
  private filled = 0;
  private gathered: Buffer[] = [];
  private gatheredBytes = 0;
  private returns: Buffer[] = [];
  private charge = 0;
  private isFlushPlanned = false;
  private onTheWay = 0;

  constructor(
    private readonly socket: Duplex,
    private readonly pool: BufferPool,
    /** Gives a charge back; called when bytes have left, too. */
    private readonly release: (bytes: number) => void,
  ) {}

  /** Sends that the socket has not taken yet. */
  get pendingSends(): number {
    return this.onTheWay;
  }

  get isEmpty(): boolean {
    return this.onTheWay === 0 && this.gathered.length === 0 && this.sent === this.filled;
  }

  /** The buffer in which `bytes` may be written at the place that `position` tells; they count once `advance` has been called. */
  reserve(bytes: number): Buffer {
    if (this.slab !== null && this.filled + bytes > this.slab.buffer.byteLength) {
      this.flush();
      const full = this.slab;
      this.slab = null;
      this.letGo(full);
    }
    if (this.slab === null) {
      this.slab = { buffer: this.pool.take(SLAB_BYTES), sends: 0 };
      this.sent = 0;
      this.filled = 0;
    }
    return this.slab.buffer;
  }

  get position(): number {
    return this.filled;
  }

  advance(bytes: number, charge: number): void {
    this.filled += bytes;
    this.charge += charge;
    if (this.gatheredBytes + this.filled - this.sent >= SEND_BYTES) this.flush();
  }

  /** Sends `bytes` without copying; `owner` goes back to the pool afterwards. */
  add(bytes: Buffer, owner: Buffer | null, charge: number): void {
    this.gatherSlab();
    this.gathered.push(bytes);
    this.gatheredBytes += bytes.byteLength;
    if (owner !== null) this.returns.push(owner);
    this.charge += charge;
    if (this.gatheredBytes >= SEND_BYTES) this.flush();
  }

  flushSoon(): void {
    if (this.isFlushPlanned) return;
    this.isFlushPlanned = true;
    queueMicrotask(() => {
      this.isFlushPlanned = false;
      this.flush();
    });
  }

  flush(): void {
    this.gatherSlab();
    if (this.gathered.length === 0) {
      this.settle([], this.takeCharge());
      return;
    }
    const { gathered, returns, slab, socket } = this;
    const charge = this.takeCharge();
    this.gathered = [];
    this.gatheredBytes = 0;
    this.returns = [];
    this.onTheWay += 1;
    if (slab !== null) slab.sends += 1;
    const done = (): void => {
      this.onTheWay -= 1;
      if (slab !== null) {
        slab.sends -= 1;
        this.letGo(slab);
      }
      this.settle(returns, charge);
    };
    if (gathered.length === 1) {
      socket.write(gathered[0], done);
      return;
    }
    socket.cork();
    const last = gathered.length - 1;
    for (let i = 0; i < last; i++) socket.write(gathered[i]);
    socket.write(gathered[last], done);
    socket.uncork();
  }

  private takeCharge(): number {
    const { charge } = this;
    this.charge = 0;
    return charge;
  }

  private settle(returns: readonly Buffer[], charge: number): void {
    for (const buffer of returns) this.pool.give(buffer);
    if (charge > 0 || returns.length > 0 || this.onTheWay === 0) this.release(charge);
  }

  private gatherSlab(): void {
    if (this.slab === null || this.sent === this.filled) return;
    const bytes = this.slab.buffer.subarray(this.sent, this.filled);
    this.gathered.push(bytes);
    this.gatheredBytes += bytes.byteLength;
    this.sent = this.filled;
  }

  /** A slab of which nothing is on its way goes back to the pool, unless something of it is still to be sent. */
  private letGo(slab: Slab): void {
    if (slab.sends > 0) return;
    if (slab === this.slab) {
      if (this.sent !== this.filled || this.gathered.length > 0) return;
      this.slab = null;
    }
    this.pool.give(slab.buffer);
  }
}
