import type { Device } from '#dist/src/device/device.js';
import type { MappingOperations } from '#dist/src/pagecache/mapping-operations.js';
import type { Arena } from '#dist/src/sync/arena.js';

export const BLOCK_BYTES: number;
export const FILES: number;
export const FILE_PAGES: number;
export const BLOCKS: number;
export const TABLE: {
  blocks: number;
  generations: number;
  written: number;
  reserved: number;
  free: number;
  words: number;
};
export class SharedDevice implements Device {
  constructor(buffer: SharedArrayBuffer);
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly io: 'direct' | 'buffered';
  readonly canDiscard: boolean;
  readonly bytes: Uint8Array;
  read(buffers: Uint8Array[], positionBytes: number): number;
  write(buffers: Uint8Array[], positionBytes: number): number;
  flush(): void;
  discard(positionBytes: number, lengthBytes: number): void;
}
export class TableMapping implements MappingOperations {
  constructor(table: Int32Array, arena: Arena);
  map: MappingOperations['map'];
  mapWrite: MappingOperations['mapWrite'];
  completeWrite: MappingOperations['completeWrite'];
  unreserve: MappingOperations['unreserve'];
  readonly verifies: boolean;
  readonly movesOnWrite: boolean;
  checksum: MappingOperations['checksum'];
  verify: MappingOperations['verify'];
}
