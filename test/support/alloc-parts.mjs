/**
 * What one thread needs to journal and allocate: its own objects over shared memory. Plain JavaScript, so that worker
 * threads use it too.
 */
import { Allocator } from '../../dist/src/allocator/allocator.js';
import { Journal } from '../../dist/src/journal/journal.js';
import { Metadata } from '../../dist/src/journal/metadata.js';
import { Frames } from '../../dist/src/pagecache/frames.js';
import { PageCache } from '../../dist/src/pagecache/page-cache.js';

/** A device in shared memory, so that several threads can use it. */
export class SharedDevice {
  readOnly = false;
  io = 'direct';
  canDiscard = true;

  constructor(buffer) {
    this.bytes = new Uint8Array(buffer);
    this.sizeBytes = buffer.byteLength;
  }

  read(buffers, positionBytes) {
    let position = positionBytes;
    for (const buffer of buffers) {
      buffer.set(this.bytes.subarray(position, position + buffer.length));
      position += buffer.length;
    }
    return position - positionBytes;
  }

  write(buffers, positionBytes) {
    let position = positionBytes;
    for (const buffer of buffers) {
      this.bytes.set(buffer, position);
      position += buffer.length;
    }
    return position - positionBytes;
  }

  flush() {}

  discard(positionBytes, lengthBytes) {
    this.bytes.fill(0, positionBytes, positionBytes + lengthBytes);
  }
}

export function openParts(arena, device, shared) {
  const { frameBuffers, commitBuffer, geometry } = shared;
  const { blockBytes } = geometry;
  const frames = new Frames(frameBuffers, blockBytes, arena.layout.frames);
  const cache = new PageCache(arena, frames, device);
  const journal = new Journal(arena, cache, device, commitBuffer, blockBytes);
  const metadata = new Metadata(journal);
  cache.operations = { files: metadata, metadata };
  const allocator = new Allocator(arena, journal, metadata, geometry);
  return { arena, device, geometry, frames, cache, journal, metadata, allocator };
}
