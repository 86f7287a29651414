/**
 * Copying bytes so that holes stay holes: a source yields the pieces that hold data, a sink writes them and sets the size.
 *
 * A store's file knows its holes (`nextData`, `nextHole`); Node cannot ask a host file for its own, so that blocks of
 * zeros read there count as holes. A pipe has no positions: zeros are read as holes and written out in full.
 */
import type { FileHandle } from 'node:fs/promises';
import type { File } from '../index.js';
import { interruption } from './interruption.js';

const CHUNK_BYTES = 1024 * 1024;
/** Runs of zeros shorter than this are copied; it is the smallest block a store or a host file system has. */
const GRAIN_BYTES = 4096;
const ZEROS = Buffer.alloc(CHUNK_BYTES);

/** Data of a file. `bytes` is the source's own buffer, overwritten when the next piece is asked for. */
export interface Piece {
  position: number;
  bytes: Buffer;
}

export interface Source {
  /** Bytes in all, holes included; unknown for a pipe. */
  size: number | undefined;
  /** The pieces in ascending order of position; returns the size. */
  pieces(): AsyncGenerator<Piece, number>;
}

export interface Sink {
  write(piece: Piece): Promise<void>;
  /** Everything is written; the file gets this size. */
  finish(size: number): Promise<void>;
}

/** Copies all of `source`; `onAdvance` hears of each byte passed, holes included. */
export async function copySparse(source: Source, sink: Sink, onAdvance: (bytes: number) => void): Promise<number> {
  const pieces = source.pieces();
  let passed = 0;
  for (;;) {
    const next = await pieces.next();
    if (next.done) {
      await sink.finish(next.value);
      onAdvance(next.value - passed);
      return next.value;
    }
    interruption.throwIfAborted();
    await sink.write(next.value);
    const end = next.value.position + next.value.bytes.length;
    onAdvance(end - passed);
    passed = end;
  }
}

export function storeSource(file: File, size: number): Source {
  async function* pieces(): AsyncGenerator<Piece, number> {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let start = await nextData(file, 0, size); start < size; ) {
      const end = Math.min(await file.nextHole(start), size);
      for (let position = start; position < end; ) {
        const { bytesRead } = await file.read(buffer, 0, Math.min(CHUNK_BYTES, end - position), position);
        if (bytesRead === 0) return position;
        yield { position, bytes: buffer.subarray(0, bytesRead) };
        position += bytesRead;
      }
      start = await nextData(file, end, size);
    }
    return size;
  }
  return { size, pieces };
}

/** Where the next data starts; `size` when there is none. */
async function nextData(file: File, position: number, size: number): Promise<number> {
  if (position >= size) return size;
  try {
    return await file.nextData(position);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENXIO') return size;
    throw error;
  }
}

/** A host file; `size` is undefined for a device or a FIFO, which is read from where it stands. */
export function hostSource(handle: FileHandle, size: number | undefined): Source {
  async function* pieces(): AsyncGenerator<Piece, number> {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let position = 0; ; ) {
      const length = await fill(handle, buffer, size === undefined ? null : position);
      yield* dataIn(buffer.subarray(0, length), position);
      position += length;
      if (length < CHUNK_BYTES) return position;
    }
  }
  return { size, pieces };
}

/** Reads until the buffer is full or the input ends: a pipe gives as little as it likes. */
async function fill(handle: FileHandle, buffer: Buffer, position: number | null): Promise<number> {
  let length = 0;
  while (length < buffer.length) {
    const at = position === null ? null : position + length;
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length, at);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return length;
}

/** Standard input. Its chunks are regrouped, so that grains of zeros are found where blocks will lie. */
export function streamSource(stream: AsyncIterable<Buffer>): Source {
  async function* pieces(): AsyncGenerator<Piece, number> {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    let position = 0;
    let length = 0;
    for await (const chunk of stream) {
      for (let taken = 0; taken < chunk.length; ) {
        const count = chunk.copy(buffer, length, taken);
        taken += count;
        length += count;
        if (length < CHUNK_BYTES) continue;
        yield* dataIn(buffer, position);
        position += length;
        length = 0;
      }
    }
    yield* dataIn(buffer.subarray(0, length), position);
    return position + length;
  }
  return { size: undefined, pieces };
}

/** The runs of `bytes` that are not whole grains of zeros. */
export function* dataIn(bytes: Buffer, position: number): Generator<Piece> {
  let start = -1;
  for (let at = 0; at < bytes.length; at += GRAIN_BYTES) {
    const grain = bytes.subarray(at, at + GRAIN_BYTES);
    const isZero = grain.equals(ZEROS.subarray(0, grain.length));
    if (isZero && start >= 0) {
      yield { position: position + start, bytes: bytes.subarray(start, at) };
      start = -1;
    } else if (!isZero && start < 0) {
      start = at;
    }
  }
  if (start >= 0) yield { position: position + start, bytes: bytes.subarray(start) };
}

/** A store's file that was just created. */
export function storeSink(file: File): Sink {
  return {
    async write({ position, bytes }) {
      for (let done = 0; done < bytes.length; ) {
        // A full device cuts a write short; the next one says why.
        done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
      }
    },
    async finish(size) {
      await file.truncate(size);
      await file.sync();
    },
  };
}

/** A host file that was just emptied. */
export function hostSink(handle: FileHandle): Sink {
  return {
    write: ({ position, bytes }) => writeFully(handle, bytes, position),
    finish: (size) => handle.truncate(size),
  };
}

/** Standard output, or anything else that takes bytes in order only: holes are written out. */
export function streamSink(write: (bytes: Buffer) => Promise<void>): Sink {
  let written = 0;
  const writeZerosUpTo = async (position: number) => {
    while (written < position) {
      interruption.throwIfAborted();
      const length = Math.min(position - written, ZEROS.length);
      await write(ZEROS.subarray(0, length));
      written += length;
    }
  };
  return {
    async write({ position, bytes }) {
      await writeZerosUpTo(position);
      await write(bytes);
      written += bytes.length;
    },
    finish: writeZerosUpTo,
  };
}

export async function writeFully(handle: FileHandle, bytes: Buffer, position: number | null): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const at = position === null ? null : position + done;
    done += (await handle.write(bytes, done, bytes.length - done, at)).bytesWritten;
  }
}
