/**
 * The name tree: which inode each name stands for, in byte order of the names.
 *
 * Any thread may call; the caller holds the Names rwsem (GlobalLock.Names), shared for lookup and list, exclusive for
 * changes, and has a journal handle open for changes, with the credits below. The methods take no lock of their own.
 */
import type { Allocator } from '../allocator/allocator.js';
import type { Journal } from '../journal/journal.js';
import type { Metadata } from '../journal/metadata.js';
import type { Frames } from '../pagecache/frames.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';

/** Blocks that an insertion may dirty. */
export const NAME_INSERT_CREDITS = 32;
/** Blocks that a removal may dirty. */
export const NAME_REMOVE_CREDITS = 32;
/** Blocks that a replacement may dirty: a leaf. */
export const NAME_REPLACE_CREDITS = 1;

export interface NameEntry {
  name: string;
  ino: number;
}

export class Names {
  constructor(
    readonly arena: Arena,
    readonly frames: Frames,
    readonly journal: Journal,
    readonly metadata: Metadata,
    readonly allocator: Allocator,
  ) {}

  /** The inode number of a name, 0 where there is none, or -1 where a block of the way is not cached. */
  tryLookup(_task: Task, _name: Uint8Array): number {
    throw new Error('not written yet');
  }

  /** The inode number of a name, or 0. */
  // biome-ignore lint/correctness/useYield: the body follows
  *lookup(_task: Task, _name: Uint8Array): Routine<number> {
    throw new Error('not written yet');
  }

  /** Adds a name that is not there (asserted), and counts it in Header.Files. Throws ENOSPC with nothing changed. */
  // biome-ignore lint/correctness/useYield: the body follows
  *insert(_task: Task, _name: Uint8Array, _ino: number): Routine<void> {
    throw new Error('not written yet');
  }

  /** Removes a name, uncounts it in Header.Files; the inode number it stood for, or 0 where it was not there. */
  // biome-ignore lint/correctness/useYield: the body follows
  *remove(_task: Task, _name: Uint8Array): Routine<number> {
    throw new Error('not written yet');
  }

  /** Lets an existing name stand for another inode; the number it stood for before, or 0 (nothing changed). */
  // biome-ignore lint/correctness/useYield: the body follows
  *replace(_task: Task, _name: Uint8Array, _ino: number): Routine<number> {
    throw new Error('not written yet');
  }

  /** Appends to `out` up to `limit` names that start with `prefix` and come after `after` (both may be empty); how many. */
  // biome-ignore lint/correctness/useYield: the body follows
  *list(_task: Task, _prefix: Uint8Array, _after: Uint8Array, _limit: number, _out: NameEntry[]): Routine<number> {
    throw new Error('not written yet');
  }
}
