/**
 * Streams beside plain reads and writes of the same chunks, on a file that is cached: what the streams themselves cost. A pass
 * goes once through the file; the figure is for one chunk.
 *
 * A stream's chunks are their consumer's to keep, so that each is new memory, which costs more than copying into it does. The
 * plain reads that such a stream is held against read into new memory too; a `byob` reader has one buffer, as plain reads do.
 *
 * Beside them: a stream of Node's over nothing but `tryRead`, which is the least that a stream can cost, and Node's own stream
 * of a cached file of the host.
 *
 * The process has a heap, as a program has. V8 collects all of it whenever new buffers outweigh it, which in an empty
 * process is every 32 MiB, some milliseconds each time, and then measures that.
 */
import { createReadStream, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { File, Store } from '../../src/index.js';
import type { SyncStore } from '../../src/worker.js';
import { fillFile } from './fixture.js';
import type { Case, Suite } from './measure.js';

const KIB = 1024;
const FILE_BYTES = 32 * KIB * KIB;
const CHUNKS = [64 * KIB, 256 * KIB];
const FRESH = 'File.read, each into new memory';
const BARE = 'bare Readable over tryRead';
const BARE_WEB = 'bare ReadableStream over tryRead';
const BARE_BYOB = 'bare ReadableStream over tryRead, byob';
const HOST = 'fs.createReadStream';
const HEAP_OBJECTS = 2_000_000;
/** The share of a plain transfer's speed that a stream must reach. */
const SHARE = 0.9;

/** Needs a cache that the file fits. */
export async function streamSuites(
  store: Store,
  sync: SyncStore,
  directory: string,
): Promise<{ suites: Suite[]; close(): Promise<void> }> {
  const heap = Array.from({ length: HEAP_OBJECTS }, (_, i) => ({ i }));
  const hostFile = join(directory, 'streamed');
  writeFileSync(hostFile, Buffer.alloc(FILE_BYTES, 7));
  fillFile(sync, 'streamed', FILE_BYTES);
  const file = await store.open('streamed', 'r+');
  await file.advise('willneed');
  const close = (): Promise<void> => {
    heap.length = 0;
    return file.close();
  };
  return { suites: CHUNKS.map((bytes) => suiteOf(file, hostFile, bytes)), close };
}

function suiteOf(file: File, hostFile: string, chunkBytes: number): Suite {
  const batch = FILE_BYTES / chunkBytes;
  const buffer = new Uint8Array(chunkBytes).fill(7);
  const pass = (name: string, run: () => Promise<void>): Case => ({ name, batch, run });
  return {
    name: `streams of 32 MiB in chunks of ${chunkBytes / KIB} KiB, cached`,
    cases: [
      pass('File.read', async () => {
        for (let at = 0; at < FILE_BYTES; at += chunkBytes) await file.read(buffer, 0, chunkBytes, at);
      }),
      pass(FRESH, async () => {
        for (let at = 0; at < FILE_BYTES; at += chunkBytes) {
          await file.read(Buffer.allocUnsafeSlow(chunkBytes), 0, chunkBytes, at);
        }
      }),
      pass('createReadStream', () => readAll(file.createReadStream({ highWaterMark: chunkBytes, autoClose: false }))),
      pass(BARE, () => readAll(bareStream(file, chunkBytes))),
      pass(HOST, () => readAll(createReadStream(hostFile, { highWaterMark: chunkBytes }))),
      pass('readableWebStream', () => readWeb(file.readableWebStream({ highWaterMark: chunkBytes }))),
      pass(BARE_WEB, () => readWeb(bareWebStream(file, chunkBytes))),
      pass('readableWebStream, byob', () => readWebInto(file.readableWebStream({ type: 'bytes' }), chunkBytes)),
      pass(BARE_BYOB, () => readWebInto(bareByteStream(file), chunkBytes)),
      pass('File.write', async () => {
        for (let at = 0; at < FILE_BYTES; at += chunkBytes) await file.write(buffer, 0, chunkBytes, at);
      }),
      pass('createWriteStream', () => writeAll(file, buffer)),
    ],
    claims: [
      { name: 'createReadStream', other: FRESH, atLeast: SHARE },
      { name: 'readableWebStream', other: FRESH, atLeast: SHARE },
      { name: 'readableWebStream, byob', other: 'File.read', atLeast: SHARE },
      { name: 'createWriteStream', other: 'File.write', atLeast: SHARE },
      { name: 'createReadStream', other: BARE },
      { name: 'createReadStream', other: HOST },
      { name: 'readableWebStream', other: BARE_WEB },
      { name: 'readableWebStream, byob', other: BARE_BYOB },
      { name: BARE_BYOB, other: 'File.read' },
    ],
  };
}

/** The stream that does nothing but be one: no range, no signal, no turn of the event loop, no errors. */
function bareStream(file: File, highWaterMark: number): Readable {
  let at = 0;
  return new Readable({
    highWaterMark,
    read() {
      if (at === FILE_BYTES) {
        this.push(null);
        return;
      }
      const chunk = Buffer.allocUnsafeSlow(highWaterMark);
      at += file.tryRead(chunk, 0, highWaterMark, at);
      this.push(chunk);
    },
  });
}

function bareWebStream(file: File, chunkBytes: number): ReadableStream<Uint8Array> {
  let at = 0;
  const pull = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
    if (at === FILE_BYTES) {
      controller.close();
      return;
    }
    const chunk = Buffer.allocUnsafeSlow(chunkBytes);
    at += file.tryRead(chunk, 0, chunkBytes, at);
    controller.enqueue(chunk);
  };
  return new ReadableStream({ pull }, { highWaterMark: 0 });
}

function bareByteStream(file: File): ReadableStream<Uint8Array> {
  let at = 0;
  const pull = (controller: ReadableByteStreamController): void => {
    const request = controller.byobRequest!;
    const view = request.view as Uint8Array;
    if (at === FILE_BYTES) controller.close();
    const n = at === FILE_BYTES ? 0 : file.tryRead(view, 0, view.byteLength, at);
    at += n;
    request.respond(n);
  };
  return new ReadableStream({ type: 'bytes', pull }) as ReadableStream<Uint8Array>;
}

function readAll(stream: Readable): Promise<void> {
  return new Promise((resolve, reject) => {
    let bytes = 0;
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.byteLength;
    });
    stream.on('error', reject);
    stream.on('end', () => finish(bytes, resolve, reject));
  });
}

async function readWeb(stream: ReadableStream<Uint8Array>): Promise<void> {
  const reader = stream.getReader();
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes += value.byteLength;
  }
  if (bytes !== FILE_BYTES) throw new Error(`${bytes} bytes were streamed`);
}

/** The reader's one buffer goes to the stream and comes back with each piece. */
async function readWebInto(stream: ReadableStream<Uint8Array>, chunkBytes: number): Promise<void> {
  const reader = stream.getReader({ mode: 'byob' });
  let bytes = 0;
  let buffer = new ArrayBuffer(chunkBytes);
  for (;;) {
    const { done, value } = await reader.read(new Uint8Array(buffer));
    if (done || value === undefined) break;
    bytes += value.byteLength;
    buffer = value.buffer as ArrayBuffer;
  }
  if (bytes !== FILE_BYTES) throw new Error(`${bytes} bytes were streamed`);
}

function writeAll(file: File, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = file.createWriteStream({ autoClose: false });
    let sent = 0;
    const send = (): void => {
      while (sent < FILE_BYTES) {
        sent += chunk.byteLength;
        if (!stream.write(chunk)) {
          stream.once('drain', send);
          return;
        }
      }
      stream.end();
    };
    stream.on('error', reject);
    stream.on('finish', () => finish(sent, resolve, reject));
    send();
  });
}

function finish(bytes: number, resolve: () => void, reject: (error: Error) => void): void {
  if (bytes === FILE_BYTES) resolve();
  else reject(new Error(`${bytes} bytes were streamed`));
}
