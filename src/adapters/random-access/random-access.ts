/**
 * A file of a store as a `random-access-storage`, the way `random-access-file` is one for files of the host.
 *
 * Belongs to the thread that opened the store. The package's class queues: it opens before the first operation, and lets
 * those under way end before it closes. So `file` is there whenever a request for it comes, and only `_open` sets it.
 *
 * 1. A file that is not there is made by the first write, or at once where `truncate` or `size` asks for it; reading it
 *    before is ENOENT.
 * 2. A read gives all it was asked for, or an error.
 * 3. `del` punches: the size stays, the blocks go. Up to infinity it truncates, as old callers have it.
 */
import { Buffer } from 'node:buffer';
import RandomAccessStorage from 'random-access-storage';
import type { File, Store } from '../../index.js';
import { StoreError } from '../../index.js';

export interface RandomAccessOptions {
  /** Empty the file when it is opened first. Default false. */
  truncate?: boolean;
  /** Give the file this size when it is opened first. */
  size?: number;
  /** Default true. */
  writable?: boolean;
}

export interface RandomAccessStat {
  size: number;
  /** Of 512 bytes, as in stat(2); with those that what is cached will need. */
  blocks: number;
  blksize: number;
  mtimeMs: number;
}

type Callback<T = void> = (error: Error | null, value: T) => void;

/** What `random-access-storage` gives its users. */
export interface RandomAccess {
  /** The file's name in the store. */
  readonly filename: string;
  readonly opened: boolean;
  readonly closed: boolean;
  read(offset: number, size: number, callback: Callback<Buffer>): void;
  write(offset: number, data: Uint8Array, callback?: Callback): void;
  del(offset: number, size: number, callback?: Callback): void;
  truncate(offset: number, callback?: Callback): void;
  stat(callback: Callback<RandomAccessStat>): void;
  open(callback?: Callback): void;
  suspend(callback?: Callback): void;
  close(callback?: Callback): void;
  unlink(callback?: Callback): void;
}

type Request = RandomAccessStorage.Request;

class StoreRandomAccess extends RandomAccessStorage {
  private file: File | undefined;
  /** What the file gets when it is opened first; undefined: what it has. */
  private size: number | undefined;
  private readonly access: 'r' | 'r+';
  private blockBytes = 0;

  constructor(
    private readonly store: Store,
    readonly filename: string,
    options: RandomAccessOptions,
  ) {
    super();
    this.size = options.size ?? (options.truncate === true ? 0 : undefined);
    this.access = options.writable === false ? 'r' : 'r+';
  }

  _open(request: Request): void {
    answer(request, this.openFile());
  }

  _read(request: Request): void {
    answer(request, this.readAll(request.offset, request.size));
  }

  _write(request: Request): void {
    answer(request, this.writeAll(request.data as Uint8Array, request.offset));
  }

  _del(request: Request): void {
    const { offset, size } = request;
    if (size === Number.POSITIVE_INFINITY) this._truncate(request);
    else answer(request, size === 0 ? Promise.resolve() : (this.file as File).punchHole(offset, size));
  }

  _truncate(request: Request): void {
    answer(request, (this.file as File).truncate(request.offset));
  }

  _stat(request: Request): void {
    answer(request, this.statFile());
  }

  _close(request: Request): void {
    answer(request, (this.file as File).close());
  }

  _unlink(request: Request): void {
    answer(request, this.remove());
  }

  private async openFile(): Promise<void> {
    const file = await this.openOrCreate();
    if (this.size !== undefined) {
      try {
        await file.truncate(0);
        await file.truncate(this.size);
      } catch (error) {
        await file.close();
        throw error;
      }
      this.size = undefined;
    }
    this.blockBytes = (await this.store.statfs()).blockBytes;
    this.file = file;
  }

  private async openOrCreate(): Promise<File> {
    const { store, filename, access } = this;
    const creates = access === 'r+' && (this.writing || this.size !== undefined);
    for (;;) {
      try {
        return await store.open(filename, access);
      } catch (error) {
        if (!creates || !hasCode(error, 'ENOENT')) throw error;
      }
      try {
        return await store.open(filename, 'wx+');
      } catch (error) {
        // Somebody else has made it since.
        if (!hasCode(error, 'EEXIST')) throw error;
      }
    }
  }

  private async readAll(offset: number, size: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(size);
    const { bytesRead } = await (this.file as File).read(buffer, 0, size, offset);
    if (bytesRead === size) return buffer;
    const error = new Error('EPARTIALREAD: Could not satisfy length');
    throw Object.assign(error, { code: 'EPARTIALREAD', path: this.filename, offset, size });
  }

  private async writeAll(data: Uint8Array, offset: number): Promise<void> {
    for (let done = 0; done < data.byteLength; ) {
      const { bytesWritten } = await (this.file as File).write(data, done, data.byteLength - done, offset + done);
      done += bytesWritten;
    }
  }

  private async statFile(): Promise<RandomAccessStat> {
    const file = this.file as File;
    const { size, mtimeMs } = await file.stat();
    return { size, blocks: (await this.occupiedBytes(file, size)) / 512, blksize: this.blockBytes, mtimeMs };
  }

  /** What is cached and has no blocks yet counts as well, as it does for files of the host. */
  private async occupiedBytes(file: File, size: number): Promise<number> {
    const { blockBytes } = this;
    let bytes = 0;
    for (let at = 0; at < size; ) {
      const segments = await file.segments(at, size - at);
      if (segments.length === 0) break;
      for (const { position, length, kind } of segments) {
        at = position + length;
        if (kind !== 'hole') bytes += Math.ceil(length / blockBytes) * blockBytes;
      }
    }
    return bytes;
  }

  private async remove(): Promise<void> {
    try {
      await this.store.unlink(this.filename);
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
    }
  }
}

/** Gives a file of a store the interface of `random-access-storage`. It is opened by the first operation. */
export function randomAccess(store: Store, name: string, options: RandomAccessOptions = {}): RandomAccess {
  return new StoreRandomAccess(store, name, options) as unknown as RandomAccess;
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof StoreError && error.code === code;
}

/** In a turn of its own, so that what the callback throws is its own. */
function answer(request: Request, promise: Promise<unknown>): void {
  promise.then(
    (value) => queueMicrotask(() => request.callback(null, value)),
    (error) => queueMicrotask(() => request.callback(error)),
  );
}
