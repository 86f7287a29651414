import type { Allocator } from '#dist/src/allocator/allocator.js';
import type { Device } from '#dist/src/device/device.js';
import type { Geometry } from '#dist/src/format/geometry.js';
import type { Journal } from '#dist/src/journal/journal.js';
import type { Metadata } from '#dist/src/journal/metadata.js';
import type { Frames } from '#dist/src/pagecache/frames.js';
import type { PageCache } from '#dist/src/pagecache/page-cache.js';
import type { Arena } from '#dist/src/sync/arena.js';

export class SharedDevice implements Device {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly io: 'direct' | 'buffered';
  readonly canDiscard: boolean;
  constructor(buffer: SharedArrayBuffer);
  read(buffers: Uint8Array[], positionBytes: number): number;
  write(buffers: Uint8Array[], positionBytes: number): number;
  flush(): void;
  discard(positionBytes: number, lengthBytes: number): void;
}

export interface SharedParts {
  frameBuffers: SharedArrayBuffer[];
  commitBuffer: SharedArrayBuffer;
  geometry: Geometry;
}

export interface AllocParts {
  arena: Arena;
  device: Device;
  geometry: Geometry;
  frames: Frames;
  cache: PageCache;
  journal: Journal;
  metadata: Metadata;
  allocator: Allocator;
}

export function openParts(arena: Arena, device: Device, shared: SharedParts): AllocParts;
