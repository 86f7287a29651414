/**
 * The inodes: which are in core, and their records on the device.
 *
 * Any thread may call. A slot with references stays; one without is evicted when slots run short (clock), its pages
 * written back and dropped first. Locks taken inside: the InodeHash leaf mutex, the extent-map lock of the inode table
 * file, the InodeTable mutex.
 */
import type { Allocator } from '../allocator/allocator.js';
import type { Journal } from '../journal/journal.js';
import type { Metadata } from '../journal/metadata.js';
import type { Frames } from '../pagecache/frames.js';
import type { PageCache } from '../pagecache/page-cache.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import type { Slot } from '../units.js';
import type { ExtentMap } from './extent-map.js';

/** Blocks that creating an inode may dirty. */
export const CREDITS_CREATE = 40;
/** Blocks that `update` may dirty. */
export const CREDITS_UPDATE = 1;
/** Blocks that `markDeleted`, `addOrphan` or `removeOrphan` may dirty. */
export const CREDITS_ORPHAN = 4;

export class InodeTable {
  constructor(
    readonly arena: Arena,
    readonly frames: Frames,
    readonly cache: PageCache,
    readonly journal: Journal,
    readonly metadata: Metadata,
    readonly allocator: Allocator,
    readonly extents: ExtentMap,
  ) {}

  /** Reads the inode fields of the superblock into the header, and sets slot 1 up. The opening thread calls it once. */
  // biome-ignore lint/correctness/useYield: the body follows
  *load(_task: Task): Routine<void> {
    throw new Error('not written yet');
  }

  /** A referenced in-core inode, or 0 when it must be read first: then `find`. */
  tryFind(_task: Task, _ino: number): Slot {
    throw new Error('not written yet');
  }

  /** A referenced in-core inode. Never inside a handle (it may write back another inode). EUCLEAN for an unused record. */
  // biome-ignore lint/correctness/useYield: the body follows
  *find(_task: Task, _ino: number): Routine<Slot> {
    throw new Error('not written yet');
  }

  /** One more reference, by somebody who has one. */
  reference(_slot: Slot): void {
    throw new Error('not written yet');
  }

  /** Drops a reference without sleeping. False, with nothing dropped, for the last one of a deleted inode: `release`. */
  put(_task: Task, _slot: Slot): boolean {
    throw new Error('not written yet');
  }

  /** Drops a reference; the last one of a deleted inode frees it, in transactions of its own. No lock, no handle held. */
  // biome-ignore lint/correctness/useYield: the body follows
  *release(_task: Task, _slot: Slot): Routine<void> {
    throw new Error('not written yet');
  }

  /** Before a handle is opened: a free slot for `create`, evicting another inode where needed. */
  // biome-ignore lint/correctness/useYield: the body follows
  *claimSlot(_task: Task): Routine<Slot> {
    throw new Error('not written yet');
  }

  /** Gives back a claimed slot that `create` was not called for. */
  unclaimSlot(_task: Task, _slot: Slot): void {
    throw new Error('not written yet');
  }

  /**
   * A new inode with one link and one reference, inside a handle (CREDITS_CREATE). `claimed` comes from `claimSlot`;
   * without it ENOMEM is thrown when no slot is free at once. To undo: `markDeleted`, then `release`.
   */
  // biome-ignore lint/correctness/useYield: the body follows
  *create(_task: Task, _claimed?: Slot): Routine<Slot> {
    throw new Error('not written yet');
  }

  /** Writes times, links, blocks and the disk size to the record, inside a handle (CREDITS_UPDATE). */
  // biome-ignore lint/correctness/useYield: the body follows
  *update(_task: Task, _slot: Slot): Routine<void> {
    throw new Error('not written yet');
  }

  /**
   * The last name is gone: links 0, on the orphan list, freed at the last release. Inside a handle (CREDITS_ORPHAN), by
   * somebody with a reference.
   */
  // biome-ignore lint/correctness/useYield: the body follows
  *markDeleted(_task: Task, _slot: Slot): Routine<void> {
    throw new Error('not written yet');
  }

  /**
   * Everything below `bytes` is on the device (the caller wrote it back): the disk size follows, in a handle of its own.
   * `bytes` is the size before the writeback began.
   */
  // biome-ignore lint/correctness/useYield: the body follows
  *advanceDiskSize(_task: Task, _slot: Slot, _bytes: number): Routine<void> {
    throw new Error('not written yet');
  }

  /** Updates the records of all dirty in-core inodes, in handles of its own. */
  // biome-ignore lint/correctness/useYield: the body follows
  *updateDirty(_task: Task): Routine<void> {
    throw new Error('not written yet');
  }

  /** Frees what a crash left on the orphan list. The opening thread, before others attach. Returns how many. */
  // biome-ignore lint/correctness/useYield: the body follows
  *finishOrphans(_task: Task): Routine<number> {
    throw new Error('not written yet');
  }
}
