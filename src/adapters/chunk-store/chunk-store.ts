/**
 * An `abstract-chunk-store` in one sparse file: chunk `i` lies at `i * chunkLength`.
 *
 * Belongs to the thread that opened the store. The file is opened, or made, by the first call that needs it. Callbacks come
 * in a turn of their own, so that what they throw is theirs.
 *
 * 1. Operations go on side by side; `close` and `destroy` wait for those that began before.
 * 2. A chunk that was never put is an error. What says so is the file's map: a range that is all hole. A chunk smaller than
 *    a block shares its block with others, and reads as zeros once one of those is there.
 */
import { Buffer } from 'node:buffer';
import type { File, Store } from '../../index.js';
import { StoreError } from '../../index.js';

export interface ChunkStoreOptions {
  store: Store;
  /** The file's name in the store. */
  name: string;
  /** Bytes of all chunks together, where that is known: the last one may then be shorter than the others. */
  length?: number;
}

export interface ChunkRange {
  /** First byte within the chunk. Default 0. */
  offset?: number;
  /** How many. Default: the rest of the chunk. */
  length?: number;
}

type Callback<T = void> = (error: Error | null, value?: T) => void;

export class ChunkStore {
  private readonly store: Store;
  private readonly name: string;
  private readonly length: number;
  private opening: Promise<File> | undefined;
  private readonly active = new Set<Promise<unknown>>();
  private closed = false;

  constructor(
    readonly chunkLength: number,
    { store, name, length = Number.POSITIVE_INFINITY }: ChunkStoreOptions,
  ) {
    if (!Number.isSafeInteger(chunkLength) || chunkLength < 1) throw new RangeError('chunkLength must be at least 1');
    if (!(length === Number.POSITIVE_INFINITY || (Number.isSafeInteger(length) && length >= 0))) {
      throw new RangeError('length must be a number of bytes');
    }
    this.store = store;
    this.name = name;
    this.length = length;
  }

  put(index: number, chunk: Uint8Array, callback?: Callback): void {
    this.run(() => this.write(index, chunk), callback);
  }

  get(index: number, options: ChunkRange | null | undefined, callback?: Callback<Buffer>): void;
  get(index: number, callback: Callback<Buffer>): void;
  get(index: number, second: ChunkRange | null | undefined | Callback<Buffer>, third?: Callback<Buffer>): void {
    const [range, callback] = typeof second === 'function' ? [null, second] : [second, third];
    this.run(() => this.read(index, range ?? {}), callback);
  }

  close(callback?: Callback): void {
    settle(this.finish(), callback);
  }

  /** Closes, and removes the file. */
  destroy(callback?: Callback): void {
    settle(
      this.finish().then(() => ignoring('ENOENT', this.store.unlink(this.name))),
      callback,
    );
  }

  private async write(index: number, chunk: Uint8Array): Promise<void> {
    const expected = this.chunkBytes(index);
    if (chunk.byteLength !== expected) throw new Error(`Chunk length must be ${expected}, not ${chunk.byteLength}`);
    const file = await this.file();
    for (let done = 0; done < expected; ) {
      const position = index * this.chunkLength + done;
      done += (await file.write(chunk, done, expected - done, position)).bytesWritten;
    }
  }

  private async read(index: number, { offset = 0, length }: ChunkRange): Promise<Buffer> {
    const bytes = this.chunkBytes(index);
    const count = length ?? bytes - offset;
    if (!(offset >= 0 && count >= 0 && offset + count <= bytes)) throw new RangeError('Range is not within the chunk');
    const file = await this.file();
    const buffer = Buffer.allocUnsafe(count);
    const position = index * this.chunkLength;
    const { bytesRead } = await file.read(buffer, 0, count, position + offset);
    if (bytesRead < count || (isZero(buffer) && (await isHole(file, position, bytes)))) {
      throw new Error(`Chunk ${index} is not in the store`);
    }
    return buffer;
  }

  private chunkBytes(index: number): number {
    if (!Number.isSafeInteger(index) || index < 0)
      throw new RangeError(`Chunk index ${index} is not an integer from 0`);
    const bytes = Math.min(this.chunkLength, this.length - index * this.chunkLength);
    if (bytes <= 0) throw new RangeError(`Chunk index ${index} is behind the end of the store`);
    return bytes;
  }

  private file(): Promise<File> {
    this.opening ??= openOrCreate(this.store, this.name);
    return this.opening;
  }

  private run<T>(operation: () => Promise<T>, callback: Callback<T> | undefined): void {
    const running = this.closed ? Promise.reject(new Error('The chunk store is closed')) : operation();
    this.active.add(running);
    const forget = () => this.active.delete(running);
    running.then(forget, forget);
    settle(running, callback);
  }

  private async finish(): Promise<void> {
    if (this.closed) throw new Error('The chunk store is closed');
    this.closed = true;
    await Promise.allSettled(this.active);
    if (this.opening !== undefined) await this.opening.then((file) => file.close(), ignore);
  }
}

/** For reading and writing, without losing what is there. */
async function openOrCreate(store: Store, name: string): Promise<File> {
  for (;;) {
    const existing = await ignoring('ENOENT', store.open(name, 'r+'));
    if (existing !== undefined) return existing;
    // Another opener may make it, or remove it, between the two.
    const made = await ignoring('EEXIST', store.open(name, 'wx+'));
    if (made !== undefined) return made;
  }
}

async function ignoring<T>(code: string, promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof StoreError && error.code === code) return undefined;
    throw error;
  }
}

function isZero(buffer: Buffer): boolean {
  return buffer.every((byte) => byte === 0);
}

/** Whether nothing at all is there: neither data nor blocks that wait for some. */
async function isHole(file: File, position: number, length: number): Promise<boolean> {
  const [first] = await file.segments(position, length, 1);
  return first === undefined || (first.kind === 'hole' && first.length >= length);
}

function settle<T>(promise: Promise<T>, callback: Callback<T> = ignore): void {
  promise.then(
    (value) => queueMicrotask(() => callback(null, value)),
    (error) => queueMicrotask(() => callback(error)),
  );
}

function ignore(): void {}
