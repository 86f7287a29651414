/**
 * A regular file or block special file as a device.
 *
 * The opening thread owns the descriptor and the exclusive claim, and closes them. Other threads make a `HostDevice` of
 * their own from the handle and use the same descriptor (descriptors are per process). Any thread, any number at once.
 *
 * 1. A short transfer is continued; a read is short only at the device's end.
 * 2. The first failed write or flush, in any thread, latches in a shared word: every later write and flush of every
 *    thread throws it too. Reads go on.
 * 3. After close no thread touches the descriptor's number again, which the host may give to another file.
 */
import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  readvSync,
  type Stats,
  statSync,
  unlinkSync,
  writeSync,
  writevSync,
} from 'node:fs';
import { StoreError, type StoreErrorCode } from '../errors.js';
import { allocateAligned } from './aligned-memory.js';
import { type BlockAttributes, readBlockAttributes } from './block-attributes.js';
import { type Claim, claimFile } from './claim.js';
import type { Device } from './device.js';
import { codeOf, hostError } from './host-error.js';
import { hostExtensions } from './host-extensions.js';

/** Unit of direct I/O here: blocks are multiples of it, and devices with larger sectors are opened buffered. */
const DIRECT_UNIT_BYTES = 4096;
/** The host's limit of buffers in one call. */
const IOV_MAX = 1024;

export interface OpenHostDeviceOptions {
  readOnly?: boolean | undefined;
  /** Default 'direct'; where the host refuses that, the device is opened 'buffered' and says so. */
  io?: 'direct' | 'buffered' | undefined;
  /** Bytes that a regular file gets which does not exist yet, or is empty. Without it a missing file is ENOENT. */
  create?: number | undefined;
}

/** A device as structured-cloneable data, for other threads of the process while the owner keeps it open. */
export interface HostDeviceHandle {
  fd: number;
  path: string;
  sizeBytes: number;
  sectorBytes: number;
  readOnly: boolean;
  io: 'direct' | 'buffered';
  deallocates: boolean;
  state: SharedArrayBuffer;
}

/** Words shared by the threads that use the device. */
const enum StateWord {
  /** Index in LATCHED + 1 of the first error, or 0. Compare-exchange. */
  Latch,
  Closed,
  /** The host has refused to deallocate: not asked again. */
  DiscardRefused,
  Words,
}

const LATCHED: StoreErrorCode[] = ['EIO', 'ENOSPC', 'EROFS', 'EACCES', 'EFBIG', 'ENOMEM', 'ENXIO'];

/** Opens and claims a device. Throws EBUSY when it is in use, ENOENT, EACCES, EROFS, EINVAL (not a device), EIO. */
export function openHostDevice(path: string, options: OpenHostDeviceOptions = {}): HostDevice {
  const created = options.create !== undefined && createFile(path, options.create);
  try {
    return openExisting(path, options);
  } catch (error) {
    // Whoever has opened the new file meanwhile may have made a store in it.
    if (created && codeOf(error) !== 'EBUSY') unlinkSync(path);
    throw error;
  }
}

/** Makes a sparse file of `sizeBytes` unless something is there already; tells whether it did. */
function createFile(path: string, sizeBytes: number): boolean {
  let fd: number;
  try {
    fd = openSync(path, 'wx');
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw hostError(error, 'open', path);
  }
  try {
    ftruncateSync(fd, sizeBytes);
  } catch (error) {
    unlinkSync(path);
    throw hostError(error, 'ftruncate', path);
  } finally {
    closeSync(fd);
  }
  return true;
}

function openExisting(path: string, options: OpenHostDeviceOptions): HostDevice {
  const readOnly = options.readOnly === true;
  const block = inspect(path, readOnly);
  const wanted = block !== null && block.sectorBytes > DIRECT_UNIT_BYTES ? 'buffered' : (options.io ?? 'direct');
  const { fd, io } = openDescriptor(path, readOnly, block !== null, wanted);
  let claim: Claim | null = null;
  try {
    const stat = fstatSync(fd);
    if (block === null) claim = claimFile({ path, dev: stat.dev, ino: stat.ino, fd, writable: !readOnly });
    const handle: HostDeviceHandle = {
      fd,
      path,
      sizeBytes: block === null ? stat.size : block.sizeBytes,
      sectorBytes: block === null ? DIRECT_UNIT_BYTES : block.sectorBytes,
      readOnly,
      io,
      deallocates: block === null || block.deallocates,
      state: new SharedArrayBuffer(StateWord.Words * 4),
    };
    const device = new HostDevice(handle, claim);
    const isEmptyFile = block === null && stat.size === 0;
    if (isEmptyFile && options.create !== undefined && !readOnly) device.resize(options.create);
    return device;
  } catch (error) {
    claim?.release();
    closeSync(fd);
    throw hostError(error, 'open', path);
  }
}

/** What the path leads to: the attributes of a block device, or null for a regular file. */
function inspect(path: string, readOnly: boolean): BlockAttributes | null {
  let stat: Stats;
  try {
    stat = statSync(path);
  } catch (error) {
    throw hostError(error, 'open', path);
  }
  if (stat.isFile()) return null;
  if (!stat.isBlockDevice()) {
    const detail = stat.isDirectory() ? 'a directory' : 'neither a regular file nor a block device';
    throw new StoreError('EINVAL', { syscall: 'open', path, detail });
  }
  const attributes = readBlockAttributes(stat, path);
  if (attributes.readOnly && !readOnly) {
    throw new StoreError('EROFS', { syscall: 'open', path, detail: 'the block device is read-only' });
  }
  return attributes;
}

function openDescriptor(
  path: string,
  readOnly: boolean,
  isBlockDevice: boolean,
  wanted: 'direct' | 'buffered',
): { fd: number; io: 'direct' | 'buffered' } {
  // O_EXCL on a block device is the claim: nobody else, and no mount, may hold it.
  const flags = (readOnly ? constants.O_RDONLY : constants.O_RDWR) | (isBlockDevice ? constants.O_EXCL : 0);
  const direct = wanted === 'direct' ? (constants.O_DIRECT ?? 0) : 0;
  try {
    if (direct !== 0) {
      const fd = openDirect(path, flags | direct);
      if (fd !== null) return { fd, io: 'direct' };
    }
    return { fd: openSync(path, flags), io: 'buffered' };
  } catch (error) {
    const inUse = codeOf(error) === 'EBUSY' ? 'the device is mounted, or open elsewhere' : undefined;
    throw hostError(error, 'open', path, inUse);
  }
}

/** A descriptor with which a direct read works, or null: some file systems refuse at open, some only at the read. */
function openDirect(path: string, flags: number): number | null {
  let fd = -1;
  try {
    fd = openSync(path, flags);
    readSync(fd, allocateAligned(DIRECT_UNIT_BYTES), 0, DIRECT_UNIT_BYTES, 0);
    return fd;
  } catch (error) {
    // A bad first sector is for the reader of that sector to report.
    if (fd >= 0 && codeOf(error) !== 'EINVAL') return fd;
    if (fd >= 0) closeSync(fd);
    if (codeOf(error) === 'EINVAL') return null;
    throw error;
  }
}

export class HostDevice implements Device {
  readonly path: string;
  readonly fd: number;
  readonly sectorBytes: number;
  readonly readOnly: boolean;
  readonly io: 'direct' | 'buffered';
  private bytes: number;
  private readonly deallocates: boolean;
  private readonly state: Int32Array<SharedArrayBuffer>;

  /** `claim` is null for block devices, and for threads other than the owner's. */
  constructor(
    handle: HostDeviceHandle,
    private claim: Claim | null,
    private readonly owner = true,
  ) {
    this.path = handle.path;
    this.fd = handle.fd;
    this.bytes = handle.sizeBytes;
    this.sectorBytes = handle.sectorBytes;
    this.readOnly = handle.readOnly;
    this.io = handle.io;
    this.deallocates = handle.deallocates;
    this.state = new Int32Array(handle.state);
  }

  /** The same device for another thread; its owner must keep it open. */
  static fromHandle(handle: HostDeviceHandle): HostDevice {
    return new HostDevice(handle, null, false);
  }

  share(): HostDeviceHandle {
    const { fd, path, sizeBytes, sectorBytes, readOnly, io, deallocates } = this;
    return { fd, path, sizeBytes, sectorBytes, readOnly, io, deallocates, state: this.state.buffer };
  }

  get sizeBytes(): number {
    return this.bytes;
  }

  get canDiscard(): boolean {
    return (
      this.deallocates &&
      !this.readOnly &&
      Atomics.load(this.state, StateWord.DiscardRefused) === 0 &&
      hostExtensions() !== null
    );
  }

  /** How the device is claimed, for `info`. */
  get claimedBy(): string {
    return this.claim === null ? 'exclusive open' : this.claim.mechanism;
  }

  read(buffers: Uint8Array[], positionBytes: number): number {
    this.checkOpen('read');
    try {
      const done =
        buffers.length === 1
          ? this.readOne(buffers[0], positionBytes)
          : this.transfer(readvSync, buffers, positionBytes);
      if (positionBytes + done < this.bytes && done < lengthOf(buffers)) {
        const detail = `the device ends at byte ${positionBytes + done}, it had ${this.bytes} when it was opened`;
        throw new StoreError('EIO', { syscall: 'read', path: this.path, detail });
      }
      return done;
    } catch (error) {
      throw hostError(error, 'read', this.path);
    }
  }

  write(buffers: Uint8Array[], positionBytes: number): number {
    this.checkOpen('write');
    this.checkWritable('write');
    const length = lengthOf(buffers);
    if (positionBytes + length > this.bytes) {
      const detail = `bytes ${positionBytes} … ${positionBytes + length} lie past the end of the device`;
      throw new StoreError('EIO', { syscall: 'write', path: this.path, detail });
    }
    try {
      const done =
        buffers.length === 1
          ? this.writeOne(buffers[0], positionBytes)
          : this.transfer(writevSync, buffers, positionBytes);
      if (done < length) throw new StoreError('EIO', { syscall: 'write', path: this.path, detail: 'short write' });
      return done;
    } catch (error) {
      throw this.latch(error, 'write');
    }
  }

  flush(): void {
    this.checkOpen('fsync');
    if (this.readOnly) return;
    this.checkWritable('fsync');
    try {
      fdatasyncSync(this.fd);
    } catch (error) {
      throw this.latch(error, 'fsync');
    }
  }

  /** Deallocates a range, which reads as zeros then. A hint: where the host refuses, nothing happens. */
  discard(positionBytes: number, lengthBytes: number): void {
    this.checkOpen('discard');
    if (lengthBytes === 0 || !this.canDiscard || Atomics.load(this.state, StateWord.Latch) !== 0) return;
    try {
      hostExtensions()!.trimSync(this.fd, positionBytes, lengthBytes);
    } catch {
      Atomics.store(this.state, StateWord.DiscardRefused, 1);
    }
  }

  /** Changes the size of a regular file. Only before the device is shared with other threads. */
  resize(sizeBytes: number): void {
    this.checkOpen('ftruncate');
    this.checkWritable('ftruncate');
    if (!fstatSync(this.fd).isFile()) {
      throw new StoreError('EINVAL', { syscall: 'ftruncate', path: this.path, detail: 'a block device has its size' });
    }
    try {
      ftruncateSync(this.fd, sizeBytes);
    } catch (error) {
      throw hostError(error, 'ftruncate', this.path);
    }
    this.bytes = sizeBytes;
  }

  /** Ends the use of the device in all threads; in a thread that is not the owner, does nothing. */
  close(): void {
    if (!this.owner || Atomics.exchange(this.state, StateWord.Closed, 1) !== 0) return;
    this.claim?.release();
    this.claim = null;
    closeSync(this.fd);
  }

  private checkOpen(syscall: string): void {
    if (Atomics.load(this.state, StateWord.Closed) !== 0) {
      throw new StoreError('EBADF', { syscall, path: this.path, detail: 'the device is closed' });
    }
  }

  private checkWritable(syscall: string): void {
    if (this.readOnly) throw new StoreError('EROFS', { syscall, path: this.path });
    const latched = Atomics.load(this.state, StateWord.Latch);
    if (latched !== 0) {
      const detail = 'an earlier write failed; the device takes no more';
      throw new StoreError(LATCHED[latched - 1], { syscall, path: this.path, detail });
    }
  }

  private latch(error: unknown, syscall: string): StoreError {
    const failure = hostError(error, syscall, this.path);
    const index = Math.max(0, LATCHED.indexOf(failure.code));
    Atomics.compareExchange(this.state, StateWord.Latch, 0, index + 1);
    return failure;
  }

  private readOne(buffer: Uint8Array, positionBytes: number): number {
    const length = buffer.length;
    let done = readSync(this.fd, buffer, 0, length, positionBytes);
    while (done < length && positionBytes + done < this.bytes) {
      const aligned = this.resumeAt(done);
      const moved = readSync(this.fd, buffer, aligned, length - aligned, positionBytes + aligned);
      if (aligned + moved <= done) break;
      done = aligned + moved;
    }
    return done;
  }

  private writeOne(buffer: Uint8Array, positionBytes: number): number {
    const length = buffer.length;
    let done = writeSync(this.fd, buffer, 0, length, positionBytes);
    while (done < length) {
      const aligned = this.resumeAt(done);
      const moved = writeSync(this.fd, buffer, aligned, length - aligned, positionBytes + aligned);
      if (aligned + moved <= done) break;
      done = aligned + moved;
    }
    return done;
  }

  private transfer(call: typeof readvSync, buffers: Uint8Array[], positionBytes: number): number {
    const length = lengthOf(buffers);
    let done = buffers.length <= IOV_MAX ? call(this.fd, buffers, positionBytes) : 0;
    while (done < length && positionBytes + done < this.bytes) {
      const aligned = this.resumeAt(done);
      const moved = call(this.fd, batchFrom(buffers, aligned), positionBytes + aligned);
      if (aligned + moved <= done) break;
      done = aligned + moved;
    }
    return done;
  }

  /** Where to go on after a short transfer: direct I/O must start on a unit again. */
  private resumeAt(doneBytes: number): number {
    return this.io === 'direct' ? doneBytes - (doneBytes % DIRECT_UNIT_BYTES) : doneBytes;
  }
}

function lengthOf(buffers: Uint8Array[]): number {
  let length = 0;
  for (let i = 0; i < buffers.length; i++) length += buffers[i].length;
  return length;
}

/** The next buffers after the first `doneBytes`, as many as one call takes. */
function batchFrom(buffers: Uint8Array[], doneBytes: number): Uint8Array[] {
  const batch: Uint8Array[] = [];
  let skip = doneBytes;
  for (const buffer of buffers) {
    if (batch.length === IOV_MAX) break;
    if (skip < buffer.length) batch.push(skip === 0 ? buffer : buffer.subarray(skip));
    skip = Math.max(0, skip - buffer.length);
  }
  return batch;
}
