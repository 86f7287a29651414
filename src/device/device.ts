/**
 * A block device as the engine sees it: synchronous, positioned, block-aligned I/O on byte ranges.
 *
 * Two implementations: `HostDevice` (a regular file or block special file) and `MemoryDevice` (an array of blocks, for
 * the exploring driver and unit tests). Routines do not call these methods: they yield an `Io` effect, and the driver
 * calls them, so that the exploring driver decides when I/O happens. All methods throw `StoreError` (EIO, ENOSPC, EROFS).
 */
export interface Device {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  /** 'direct' when I/O bypasses the host's cache. */
  readonly io: 'direct' | 'buffered';
  /** Whether `discard` reaches the medium; where it does not, `discard` does nothing. */
  readonly canDiscard: boolean;
  /** Fills the buffers in order from `positionBytes`; returns the bytes read, fewer only at the device's end. */
  read(buffers: Uint8Array[], positionBytes: number): number;
  /** Writes all buffers in order, retrying short writes. The first failure latches: every later write throws it too. */
  write(buffers: Uint8Array[], positionBytes: number): number;
  /** Makes all completed writes durable. A failure latches like a failed write. */
  flush(): void;
  discard(positionBytes: number, lengthBytes: number): void;
}
