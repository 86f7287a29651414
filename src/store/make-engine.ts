/**
 * Wires the parts of an engine together over one store's shared memory: the one place that knows which part needs which.
 *
 * Called once by each thread that attaches, and by tests and the exploring driver for each of their logical threads. The
 * parts hold nothing but views and what is their thread's own; nothing is shared but the arena, the frames and the device.
 */
import { Allocator } from '../allocator/allocator.js';
import type { Device } from '../device/device.js';
import { Engine } from '../file/engine.js';
import type { Geometry } from '../format/geometry.js';
import { ExtentMap } from '../inode/extent-map.js';
import { FileMapping } from '../inode/file-mapping.js';
import { InodeTable } from '../inode/inode-table.js';
import { Journal } from '../journal/journal.js';
import { Metadata } from '../journal/metadata.js';
import { Guard } from '../locking/guard.js';
import type { Scheme } from '../locking/scheme.js';
import type { Frames } from '../pagecache/frames.js';
import { type DirtyLimits, PageCache } from '../pagecache/page-cache.js';
import type { Arena } from '../sync/arena.js';

export interface EngineSource {
  arena: Arena;
  frames: Frames;
  device: Device;
  /** The commit buffer, shared by all threads. */
  commit: SharedArrayBuffer;
  limits: DirtyLimits;
  geometry: Geometry;
  scheme: Scheme;
  /** Copies from cached pages pin them, whatever the processor: then every step of theirs is one that a driver can see. */
  alwaysPins?: boolean;
}

export function makeEngine({
  arena,
  frames,
  device,
  commit,
  limits,
  geometry,
  scheme,
  ...options
}: EngineSource): Engine {
  const { blockBytes } = geometry;
  const cache = new PageCache(arena, frames, device, limits);
  const journal = new Journal(arena, cache, device, commit, blockBytes);
  const metadata = new Metadata(journal);
  const allocator = new Allocator(arena, journal, metadata, geometry);
  const extents = new ExtentMap(arena, frames, journal, metadata, allocator);
  const inodes = new InodeTable(arena, frames, cache, journal, metadata, allocator, extents);
  const files = new FileMapping(arena, journal, allocator, extents, inodes, blockBytes);
  cache.operations = { files, metadata };
  const guard = new Guard(arena, scheme);
  return new Engine({
    arena,
    frames,
    cache,
    device,
    journal,
    metadata,
    allocator,
    inodes,
    extents,
    guard,
    blockBytes,
    alwaysPins: options.alwaysPins === true,
  });
}
