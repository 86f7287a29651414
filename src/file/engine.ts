/**
 * The parts of one open store as one thread sees them: what every file operation works with.
 *
 * One engine per thread, built by the store layer when the thread attaches; nothing in it is shared but what its parts
 * keep in the arena. All fields are constant after construction, but for the two functions.
 */
import type { Allocator } from '../allocator/allocator.js';
import type { Device } from '../device/device.js';
import type { ExtentMap } from '../inode/extent-map.js';
import type { InodeTable } from '../inode/inode-table.js';
import type { Journal } from '../journal/journal.js';
import type { Metadata } from '../journal/metadata.js';
import type { Guard } from '../locking/guard.js';
import type { Frames } from '../pagecache/frames.js';
import type { PageCache } from '../pagecache/page-cache.js';
import type { Routine } from '../routine/effect.js';
import type { Arena } from '../sync/arena.js';
import { MAX_FILE_PAGES, type Slot } from '../units.js';
import { PageCopier } from './page-copier.js';

export interface EngineParts {
  arena: Arena;
  frames: Frames;
  cache: PageCache;
  device: Device;
  journal: Journal;
  metadata: Metadata;
  allocator: Allocator;
  inodes: InodeTable;
  extents: ExtentMap;
  guard: Guard;
  blockBytes: number;
  /** See EngineSource. */
  alwaysPins?: boolean;
}

export class Engine {
  readonly arena: Arena;
  readonly frames: Frames;
  readonly cache: PageCache;
  readonly device: Device;
  readonly journal: Journal;
  readonly metadata: Metadata;
  readonly allocator: Allocator;
  readonly inodes: InodeTable;
  readonly extents: ExtentMap;
  readonly guard: Guard;
  readonly blockBytes: number;
  /** No byte of a file lies at or beyond this: page indices fit a word, positions a safe integer. */
  readonly maxFileBytes: number;
  readonly pages: PageCopier;
  /** Source of zeros, one block long. */
  readonly zeros: Uint8Array;
  /**
   * Hands a window to whoever reads ahead in the background; `marker` is the page that asks for the next one, or the
   * window's end for none. It must not sleep, and may drop the request. By default everything is dropped.
   */
  requestReadahead: (slot: Slot, first: number, count: number, marker: number) => void = () => {};
  /**
   * Makes the user's bytes present, with what a read or write holds, before a page is locked for writing or looked up for reading:
   * Linux's faults on the user's buffer. Those of a process are always present; the exploring driver has some that are not.
   */
  faultIn: (() => Routine<void>) | null = null;

  constructor(parts: EngineParts) {
    this.arena = parts.arena;
    this.frames = parts.frames;
    this.cache = parts.cache;
    this.device = parts.device;
    this.journal = parts.journal;
    this.metadata = parts.metadata;
    this.allocator = parts.allocator;
    this.inodes = parts.inodes;
    this.extents = parts.extents;
    this.guard = parts.guard;
    this.blockBytes = parts.blockBytes;
    this.maxFileBytes = Math.min(MAX_FILE_PAGES * parts.blockBytes, Number.MAX_SAFE_INTEGER);
    const { arena, frames, cache, blockBytes, alwaysPins } = parts;
    this.pages = new PageCopier(arena, frames, cache.lookup, blockBytes, process.arch === 'x64' && alwaysPins !== true);
    this.zeros = new Uint8Array(parts.blockBytes);
  }
}
