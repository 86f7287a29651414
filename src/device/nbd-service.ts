/**
 * The thread that owns a device's connections to its NBD server: takes requests from the ring, keeps them all going at
 * once, and sees to it that a lost connection loses nothing.
 *
 * 1. Several connections are used only where the server says CAN_MULTI_CONN: a flush on one then covers writes on all.
 * 2. When a connection is lost, the others get no more requests; they are closed once they have answered what they have.
 *    Then it connects anew, for at most `retryMs`, and goes on only with an export as large as before and still writable.
 * 3. A server that ended may have lost what it acknowledged and had not flushed. So these writes are kept (at most
 *    LOG_BYTES; a flush of our own makes room) and sent again, in order, before anything else.
 * 4. Requests without an answer are sent again too: reads always, writes only from connections that the server itself has
 *    ended. From one that we gave up, an old write could still arrive after a newer one of the same blocks: it fails, and
 *    the device takes no more writes. Callers never have two writes to the same bytes under way at once.
 * 5. What cannot be had again in time fails every request from then on, with EIO.
 */
import type { Buffer } from 'node:buffer';
import type { MessagePort } from 'node:worker_threads';
import { type ErrorData, errorToData, StoreError } from '../errors.js';
import { type Connected, connectNbd, type ServedExport } from '../nbd/client-handshake.js';
import { Command, ErrorCode, TransmissionFlag } from '../nbd/constants.js';
import { type NbdAddress, parseNbdUri } from '../nbd/uri.js';
import { type ConnectionOwner, type Job, NbdConnection } from './nbd-connection.js';
import { NbdOperation, NbdRing, type NbdRingHandle } from './nbd-ring.js';
import { UnflushedWrites } from './unflushed-writes.js';

export interface NbdServiceTask {
  uri: string;
  ring: NbdRingHandle;
}

export type NbdServiceMessage = { served: ServedExport; error: null } | { served: null; error: ErrorData };

const LOG_BYTES = 64 * 1024 * 1024;
const RETRY_MS = 50;
const RETRY_MS_MAX = 1000;

/** A request of the ring. */
interface SlotJob extends Job {
  slot: number;
  /** Of a flush: the writes that it covers. */
  mark: number;
}

/** The body of the device thread; ends when the device is closed. */
export async function serveNbdDevice(task: NbdServiceTask, port: MessagePort): Promise<void> {
  const address = parseNbdUri(task.uri);
  const ring = new NbdRing(task.ring);
  let first: Connected;
  try {
    first = await connectNbd(address);
  } catch (error) {
    ring.end();
    port.postMessage({ served: null, error: errorToData(error) } satisfies NbdServiceMessage);
    return;
  }
  const service = new NbdService(address, ring, first);
  port.postMessage({ served: first.served, error: null } satisfies NbdServiceMessage);
  await service.run();
}

class NbdService implements ConnectionOwner {
  private readonly connections = new Set<NbdConnection>();
  private readonly served: ServedExport;
  private readonly queue: SlotJob[] = [];
  private readonly unflushed = new UnflushedWrites();
  private readonly flushes: boolean;
  private isFlushing = false;
  private recovering: Promise<void> | null = null;
  private failed: StoreError | null = null;
  private onConnectionGone: () => void = () => {};

  constructor(
    private readonly address: NbdAddress,
    private readonly ring: NbdRing,
    first: Connected,
  ) {
    this.served = first.served;
    this.flushes = (first.served.flags & TransmissionFlag.SendFlush) !== 0;
    this.connections.add(new NbdConnection(first, this));
  }

  async run(): Promise<void> {
    // What it sleeps on does not keep the thread alive.
    const keepAlive = setInterval(() => {}, 1 << 30);
    void this.connectMore();
    const { ring } = this;
    while (!ring.isClosed) {
      const seen = ring.work;
      this.accept();
      this.pump();
      for (const connection of this.connections) connection.checkSilence(this.address.timeoutMs);
      await ring.sleep(seen);
    }
    this.fail(new StoreError('EIO', { detail: 'the device is closed' }));
    for (const connection of this.connections) connection.retire();
    clearInterval(keepAlive);
    ring.end();
  }

  lost(connection: NbdConnection, unanswered: Job[], isOver: boolean, reason: string): void {
    this.connections.delete(connection);
    const again: SlotJob[] = [];
    for (const job of unanswered) {
      // Of the service's own requests: whoever made them begins again.
      if (!isSlotJob(job)) job.error = ErrorCode.Shutdown;
      else if (isOver || job.command === Command.Read) again.push(job);
      else job.error = ErrorCode.Io;
      if (job.error === ErrorCode.None) continue;
      job.message = `${reason}; whether the server has done it is not known`;
      job.settle(job);
    }
    this.queue.unshift(...again);
    this.onConnectionGone();
    if (this.failed !== null || this.ring.isClosed || this.recovering !== null) return;
    // Begun in a later turn: it ends the other connections, and their ends are to find it under way. One recovery at a time
    // keeps the order in which writes are sent again.
    this.recovering = Promise.resolve()
      .then(() => this.recover())
      .finally(() => {
        this.recovering = null;
        this.pump();
      });
  }

  private accept(): void {
    const { ring } = this;
    for (let slot = 0; slot < ring.slots; slot++) {
      const request = ring.accept(slot);
      if (request !== null)
        this.queue.push(this.jobFor(slot, request.operation, request.positionBytes, request.lengthBytes));
    }
  }

  private jobFor(slot: number, operation: NbdOperation, positionBytes: number, lengthBytes: number): SlotJob {
    const command = COMMANDS[operation];
    const carries = command === Command.Read || command === Command.Write;
    return {
      slot,
      command,
      positionBytes,
      lengthBytes,
      data: carries ? this.ring.area(slot).subarray(0, lengthBytes) : null,
      error: ErrorCode.None,
      message: '',
      received: 0,
      mark: 0,
      settle: (job) => this.settle(job as SlotJob),
    };
  }

  private pump(): void {
    if (this.failed !== null) {
      for (const job of this.queue.splice(0)) this.ring.complete(job.slot, this.failed);
      return;
    }
    if (this.recovering !== null) return;
    const held: SlotJob[] = [];
    for (let job = this.queue.shift(); job !== undefined; job = this.queue.shift()) {
      const connection = this.leastLoaded();
      if (connection === null || (job.command === Command.Write && this.unflushed.heldBytes >= LOG_BYTES)) {
        held.push(job);
        continue;
      }
      job.mark = this.unflushed.mark;
      connection.send(job);
    }
    this.queue.push(...held);
    if (this.unflushed.heldBytes >= LOG_BYTES / 2 && !this.isFlushing) void this.makeRoom();
  }

  private leastLoaded(): NbdConnection | null {
    let best: NbdConnection | null = null;
    for (const connection of this.connections) {
      if (connection.isOpen && (best === null || connection.load < best.load)) best = connection;
    }
    return best;
  }

  private settle(job: SlotJob): void {
    if (job.error === ErrorCode.None) {
      if (job.command === Command.Write && this.flushes) this.unflushed.add(job.positionBytes, job.data as Buffer);
      if (job.command === Command.Flush) this.unflushed.flushed(job.mark);
      this.ring.complete(job.slot, null);
      return;
    }
    const said = job.message === '' ? 'the server says so' : job.message;
    this.ring.complete(job.slot, new StoreError(CODES[job.error] ?? 'EIO', { detail: said }));
  }

  /** A flush that nobody asked for, so that what has to be kept stays bounded. */
  private async makeRoom(): Promise<void> {
    const connection = this.leastLoaded();
    if (connection === null) return;
    this.isFlushing = true;
    const { mark } = this.unflushed;
    const error = await this.perform(connection, Command.Flush, 0, null);
    this.isFlushing = false;
    if (error === ErrorCode.None) this.unflushed.flushed(mark);
    // A server that cannot flush has failed the next flush of somebody's, too; here it means no more room.
    else if (error !== ErrorCode.Shutdown) this.fail(new StoreError('EIO', { detail: 'the server failed to flush' }));
    this.pump();
  }

  /** A request of our own. */
  private perform(
    connection: NbdConnection,
    command: Command,
    positionBytes: number,
    data: Buffer | null,
  ): Promise<ErrorCode> {
    return new Promise((resolve) => {
      connection.send({
        command,
        positionBytes,
        lengthBytes: data === null ? 0 : data.byteLength,
        data,
        error: ErrorCode.None,
        message: '',
        received: 0,
        settle: (job) => resolve(job.error),
      });
    });
  }

  private async recover(): Promise<void> {
    for (const connection of [...this.connections]) connection.retire();
    while (this.connections.size > 0) {
      for (const connection of this.connections) connection.checkSilence(this.address.timeoutMs);
      await this.connectionGone(this.address.timeoutMs);
    }
    const deadline = performance.now() + this.address.retryMs;
    for (let pause = RETRY_MS; ; pause = Math.min(2 * pause, RETRY_MS_MAX)) {
      try {
        await this.beginAgain();
        return;
      } catch (error) {
        const isFinal = error instanceof ChangedExport || this.ring.isClosed || performance.now() + pause > deadline;
        if (!isFinal) {
          await new Promise((resolve) => setTimeout(resolve, pause));
          continue;
        }
        const detail = `the connection was lost, and not to be had again: ${(error as Error).message}`;
        this.fail(new StoreError('EIO', { path: this.address.uri, detail }));
        return;
      }
    }
  }

  /** A new connection, checked, and everything on it that the server may have lost. Throws when that does not work. */
  private async beginAgain(): Promise<void> {
    const connected = await connectNbd({ ...this.address, timeoutMs: Math.min(this.address.timeoutMs, 5000) });
    const { sizeBytes, flags } = connected.served;
    const before = this.served;
    const isReadOnly = (flags & TransmissionFlag.ReadOnly) !== 0;
    if (sizeBytes < before.sizeBytes || (isReadOnly && (before.flags & TransmissionFlag.ReadOnly) === 0)) {
      connected.socket.destroy();
      throw new ChangedExport(
        isReadOnly
          ? 'the export has become read-only'
          : `the export has shrunk from ${before.sizeBytes} to ${sizeBytes} bytes`,
      );
    }
    const connection = new NbdConnection(connected, this);
    this.connections.add(connection);
    for (const { positionBytes, data } of this.unflushed.all()) {
      const error = await this.perform(connection, Command.Write, positionBytes, data);
      if (error !== ErrorCode.None) throw new Error('the server does not take again what it had taken');
    }
    if (!connection.isOpen) throw new Error('the new connection was lost, too');
    void this.connectMore();
  }

  /** The other connections, where there may be any. One is enough to go on. */
  private async connectMore(): Promise<void> {
    if ((this.served.flags & TransmissionFlag.CanMultiConn) === 0) return;
    for (let i = 1; i < this.address.connections; i++) {
      const connected = await connectNbd(this.address).catch(() => null);
      if (connected === null) return;
      if (this.recovering !== null || this.failed !== null || this.ring.isClosed) {
        connected.socket.destroy();
        return;
      }
      this.connections.add(new NbdConnection(connected, this));
    }
  }

  private connectionGone(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const limit = setTimeout(resolve, timeoutMs / 4);
      this.onConnectionGone = () => {
        clearTimeout(limit);
        this.onConnectionGone = () => {};
        resolve();
      };
    });
  }

  private fail(error: StoreError): void {
    this.failed ??= error;
    this.pump();
  }
}

/** The export is not what it was: trying again is no use. */
class ChangedExport extends Error {
  override readonly name = 'ChangedExport';
}

const COMMANDS: Record<NbdOperation, Command> = {
  [NbdOperation.Read]: Command.Read,
  [NbdOperation.Write]: Command.Write,
  [NbdOperation.Flush]: Command.Flush,
  [NbdOperation.Discard]: Command.Trim,
};

const CODES: Partial<Record<ErrorCode, StoreError['code']>> = {
  [ErrorCode.Permission]: 'EROFS',
  [ErrorCode.NoSpace]: 'ENOSPC',
  [ErrorCode.Invalid]: 'EINVAL',
  [ErrorCode.NoMemory]: 'ENOMEM',
};

function isSlotJob(job: Job): job is SlotJob {
  return 'slot' in job;
}
