/**
 * Streams beside plain reads and writes of the same chunks, on a file that is cached: what the streams themselves cost. A pass
 * goes once through the file; the figure is for one chunk.
 *
 * A stream's chunks are their consumer's to keep, so that each is new memory, which costs more than copying into it does. The
 * plain reads that such a stream is held against read into new memory too; a `byob` reader has one buffer, as plain reads do.
 */
import type { File, Store } from '../../src/index.js';
import type { SyncStore } from '../../src/worker.js';
import { fillFile } from './fixture.js';
import type { Case, Suite } from './measure.js';

const KIB = 1024;
const FILE_BYTES = 32 * KIB * KIB;
const CHUNKS = [64 * KIB, 256 * KIB];
const FRESH = 'File.read, each into new memory';
/** The share of a plain transfer's speed that a stream must reach. */
const SHARE = 0.9;

/** Needs a cache that the file fits. */
export async function streamSuites(
  store: Store,
  sync: SyncStore,
): Promise<{ suites: Suite[]; close(): Promise<void> }> {
  fillFile(sync, 'streamed', FILE_BYTES);
  const file = await store.open('streamed', 'r+');
  await file.advise('willneed');
  return { suites: CHUNKS.map((bytes) => suiteOf(file, bytes)), close: () => file.close() };
}

function suiteOf(file: File, chunkBytes: number): Suite {
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
      pass('createReadStream', () => readAll(file, chunkBytes)),
      pass('readableWebStream', () => readWeb(file, chunkBytes)),
      pass('readableWebStream, byob', () => readWebInto(file, chunkBytes)),
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
    ],
  };
}

function readAll(file: File, highWaterMark: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = file.createReadStream({ highWaterMark, autoClose: false });
    let bytes = 0;
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.byteLength;
    });
    stream.on('error', reject);
    stream.on('end', () => finish(bytes, resolve, reject));
  });
}

async function readWeb(file: File, highWaterMark: number): Promise<void> {
  const reader = file.readableWebStream({ highWaterMark }).getReader();
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes += value.byteLength;
  }
  if (bytes !== FILE_BYTES) throw new Error(`${bytes} bytes were streamed`);
}

/** The reader's one buffer goes to the stream and comes back with each piece. */
async function readWebInto(file: File, chunkBytes: number): Promise<void> {
  const reader = file.readableWebStream({ type: 'bytes' }).getReader({ mode: 'byob' });
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
