/**
 * What an NBD server exports, as a device.
 *
 * The opening thread starts the device thread (nbd-service.ts), which owns the connections, and ends it. Any thread may use
 * the device: a call becomes requests in the ring (nbd-ring.ts), and the calling thread sleeps until they are answered.
 *
 * 1. Transfers go in pieces, all of them under way at once; a read is short only at the device's end.
 * 2. The first failed write or flush, in any thread, latches: every later write and flush of every thread throws it too.
 *    Reads go on.
 * 3. The claim is the host's own, by the server's address and the export's name: another host is not seen.
 * 4. A server that knows no flush has, by the protocol, made durable what it has acknowledged.
 */
import { Worker } from 'node:worker_threads';
import { errorFromData, StoreError } from '../errors.js';
import type { ServedExport } from '../nbd/client-handshake.js';
import { TransmissionFlag } from '../nbd/constants.js';
import { parseNbdUri } from '../nbd/uri.js';
import { type Claim, claimName } from './claim.js';
import type { Device } from './device.js';
import { NbdOperation, NbdRing, type NbdRingHandle } from './nbd-ring.js';
import type { NbdServiceMessage, NbdServiceTask } from './nbd-service.js';

const SERVICE_URL = new URL('../../workers/nbd-device.js', import.meta.url);
/** As fine as the engine reads and writes. */
const BLOCK_BYTES = 4096;
/** One TRIM: its length has 32 bits. */
const DISCARD_BYTES_MAX = 2 ** 30;

/** The device as structured-cloneable data, for other threads of the process while the owner keeps it open. */
export interface NbdDeviceHandle {
  kind: 'nbd';
  uri: string;
  sizeBytes: number;
  readOnly: boolean;
  trims: boolean;
  flushes: boolean;
  ring: NbdRingHandle;
}

/**
 * Connects and claims. EINVAL for what is no NBD URI, or an export that cannot hold a store; EBUSY when this host has it
 * open; ENOENT when there is no such export; EACCES when TLS does not come about; EROFS; EIO when the server cannot be reached.
 */
export async function openNbdDevice(uri: string, options: { readOnly?: boolean | undefined } = {}): Promise<NbdDevice> {
  const { socket, host, port, exportName } = parseNbdUri(uri);
  const claim = claimName(`nbd ${socket ?? `${host}:${port}`} ${exportName}`, uri);
  try {
    const ring = NbdRing.allocate();
    const served = await startService({ uri, ring });
    const handle: NbdDeviceHandle = {
      kind: 'nbd',
      uri,
      sizeBytes: served.sizeBytes,
      readOnly: options.readOnly === true,
      trims: (served.flags & TransmissionFlag.SendTrim) !== 0,
      flushes: (served.flags & TransmissionFlag.SendFlush) !== 0,
      ring,
    };
    const device = new NbdDevice(handle, claim);
    try {
      checkExport(uri, served, handle.readOnly);
    } catch (error) {
      device.close();
      throw error;
    }
    return device;
  } catch (error) {
    claim.release();
    throw error;
  }
}

function checkExport(
  path: string,
  { flags, minBlockBytes, maxPayloadBytes, sizeBytes }: ServedExport,
  readOnly: boolean,
): void {
  if (!readOnly && (flags & TransmissionFlag.ReadOnly) !== 0) {
    throw new StoreError('EROFS', { syscall: 'open', path, detail: 'the export is read-only' });
  }
  if (minBlockBytes > BLOCK_BYTES || maxPayloadBytes < NbdRing.pieceBytes || sizeBytes > Number.MAX_SAFE_INTEGER) {
    const detail = `blocks of at least ${minBlockBytes} and payloads of at most ${maxPayloadBytes} bytes are of no use`;
    throw new StoreError('EINVAL', { syscall: 'open', path, detail });
  }
}

/** Resolves when the first connection stands. */
async function startService(task: NbdServiceTask): Promise<ServedExport> {
  const worker = new Worker(SERVICE_URL, { workerData: task });
  const message = await new Promise<NbdServiceMessage>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', () => reject(new StoreError('EIO', { path: task.uri, detail: 'the device thread ended' })));
  });
  // From here on the store keeps the process alive, not its device. A thread that fails says so in the ring.
  worker.on('error', () => {});
  worker.unref();
  if (message.error !== null) throw errorFromData(message.error);
  return message.served;
}

export class NbdDevice implements Device {
  readonly io = 'direct';
  readonly path: string;
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly canDiscard: boolean;
  private readonly ring: NbdRing;

  /** `claim` is null for threads other than the owner's. */
  constructor(
    private readonly handle: NbdDeviceHandle,
    private readonly claim: Claim | null,
  ) {
    this.path = handle.uri;
    this.sizeBytes = handle.sizeBytes;
    this.readOnly = handle.readOnly;
    this.canDiscard = handle.trims && !handle.readOnly;
    this.ring = new NbdRing(handle.ring);
  }

  /** The same device for another thread; its owner must keep it open. */
  static fromHandle(handle: NbdDeviceHandle): NbdDevice {
    return new NbdDevice(handle, null);
  }

  share(): NbdDeviceHandle {
    return this.handle;
  }

  /** How the device is claimed, for `info`. */
  get claimedBy(): string {
    return this.claim?.mechanism ?? 'owner';
  }

  read(buffers: Uint8Array[], positionBytes: number): number {
    this.checkOpen('read');
    const length = Math.max(0, Math.min(lengthOf(buffers), this.sizeBytes - positionBytes));
    try {
      this.ring.transfer(NbdOperation.Read, positionBytes, length, nothing, (data, offset, count) => {
        eachPart(buffers, offset, count, (part, at) => part.set(data.subarray(at, at + part.byteLength)));
      });
    } catch (error) {
      throw this.named(error, 'read');
    }
    return length;
  }

  write(buffers: Uint8Array[], positionBytes: number): number {
    this.checkOpen('write');
    this.checkWritable('write');
    const length = lengthOf(buffers);
    if (positionBytes + length > this.sizeBytes) {
      const detail = `bytes ${positionBytes} … ${positionBytes + length} lie past the end of the device`;
      throw new StoreError('EIO', { syscall: 'write', path: this.path, detail });
    }
    const gather = (data: Uint8Array, offset: number, count: number): void => {
      eachPart(buffers, offset, count, (part, at) => data.set(part, at));
    };
    try {
      this.ring.transfer(NbdOperation.Write, positionBytes, length, gather, nothing);
    } catch (error) {
      throw this.latch(error, 'write');
    }
    return length;
  }

  flush(): void {
    this.checkOpen('fsync');
    if (this.readOnly) return;
    this.checkWritable('fsync');
    if (!this.handle.flushes) return;
    try {
      this.ring.order(NbdOperation.Flush, 0, 0);
    } catch (error) {
      throw this.latch(error, 'fsync');
    }
  }

  /** A hint: where the server refuses, nothing happens. */
  discard(positionBytes: number, lengthBytes: number): void {
    this.checkOpen('discard');
    if (!this.canDiscard || this.ring.latched !== null) return;
    try {
      for (let at = 0; at < lengthBytes; at += DISCARD_BYTES_MAX) {
        this.ring.order(NbdOperation.Discard, positionBytes + at, Math.min(DISCARD_BYTES_MAX, lengthBytes - at));
      }
    } catch {
      // As on every other device.
    }
  }

  /** A server's export has the size that it has. */
  resize(): never {
    const detail = 'an export has its size; make it larger at its server';
    throw new StoreError('EINVAL', { syscall: 'ftruncate', path: this.path, detail });
  }

  /** Ends the use of the device in all threads; in a thread that is not the owner, does nothing. */
  close(): void {
    if (this.claim === null || !this.ring.close()) return;
    this.claim.release();
  }

  private checkOpen(syscall: string): void {
    if (this.ring.isClosed) {
      throw new StoreError('EBADF', { syscall, path: this.path, detail: 'the device is closed' });
    }
  }

  private checkWritable(syscall: string): void {
    if (this.readOnly) throw new StoreError('EROFS', { syscall, path: this.path });
    const { latched } = this.ring;
    if (latched !== null) {
      const detail = 'an earlier write failed; the device takes no more';
      throw new StoreError(latched, { syscall, path: this.path, detail });
    }
  }

  private latch(error: unknown, syscall: string): unknown {
    const failure = this.named(error, syscall);
    if (failure instanceof StoreError) this.ring.latch(failure.code);
    return failure;
  }

  private named(error: unknown, syscall: string): unknown {
    if (!(error instanceof StoreError)) return error;
    const named = new StoreError(error.code, { syscall, path: this.path, cause: error });
    named.message = `${error.message}, ${syscall} '${this.path}'`;
    return named;
  }
}

/** Calls `use` for each part of bytes [from, from + count) of the buffers, with its place counted from `from`. */
function eachPart(
  buffers: readonly Uint8Array[],
  from: number,
  count: number,
  use: (part: Uint8Array, at: number) => void,
): void {
  let start = 0;
  for (const buffer of buffers) {
    const first = Math.max(from, start);
    const last = Math.min(from + count, start + buffer.byteLength);
    if (first < last) use(buffer.subarray(first - start, last - start), first - from);
    start += buffer.byteLength;
    if (start >= from + count) return;
  }
}

function lengthOf(buffers: readonly Uint8Array[]): number {
  let length = 0;
  for (const buffer of buffers) length += buffer.byteLength;
  return length;
}

function nothing(): void {}
