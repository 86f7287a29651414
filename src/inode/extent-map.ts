/**
 * The extent map of a file: a B+tree from pages to runs of device blocks, its root in the inode's record.
 *
 * Any thread may call. The caller holds the inode's extent-map lock: shared for lookups, exclusive for changes; changes
 * also need an open journal handle with the credits given below. Throws EUCLEAN for a tree that contradicts itself,
 * ENOSPC (with nothing changed) when no block for a node is left.
 */
import type { Allocator } from '../allocator/allocator.js';
import type { Journal } from '../journal/journal.js';
import type { Metadata } from '../journal/metadata.js';
import type { Frames } from '../pagecache/frames.js';
import type { BlockRun } from '../pagecache/mapping-operations.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import type { Slot } from '../units.js';

/** Blocks that one insertion may dirty. */
export const CREDITS_INSERT = 32;
/** Blocks that one conversion may dirty. */
export const CREDITS_CONVERT = 48;
/** Blocks that one step of a removal may dirty. */
export const CREDITS_REMOVE_STEP = 80;
/** Blocks that one step of a shift may dirty. */
export const CREDITS_SHIFT_STEP = 32;
/** What `shift` returns when nothing is left to move. */
export const SHIFT_DONE = -1;

/** One extent, as `next` gives it. */
export class Extent {
  page = 0;
  block = 0;
  length = 0;
  unwritten = false;
}

export interface ExtentMapOptions {
  /** Entries of a node, for tests of deep trees; by default what fits in a block. */
  maxEntries?: number;
}

export class ExtentMap {
  constructor(
    readonly arena: Arena,
    readonly frames: Frames,
    readonly journal: Journal,
    readonly metadata: Metadata,
    readonly allocator: Allocator,
    readonly options: ExtentMapOptions = {},
  ) {}

  /**
   * The run that starts at `page`, at most `max` pages long, into `run`: a hole's length reaches to the next extent (or
   * `max`). False, and nothing said, when a block of the tree is not cached: then ask `lookup`.
   */
  tryLookup(_task: Task, _slot: Slot, _page: number, _run: BlockRun, _max: number): boolean {
    throw new Error('not written yet');
  }

  // biome-ignore lint/correctness/useYield: the body follows
  *lookup(_task: Task, _slot: Slot, _page: number, _run: BlockRun, _max: number): Routine<void> {
    throw new Error('not written yet');
  }

  /** The first extent that ends after `page`, whole, into `out`; false when there is none. */
  // biome-ignore lint/correctness/useYield: the body follows
  *next(_task: Task, _slot: Slot, _page: number, _out: Extent): Routine<boolean> {
    throw new Error('not written yet');
  }

  /** Maps a hole to `length` blocks from `block`. CREDITS_INSERT. */
  // biome-ignore lint/correctness/useYield: the body follows
  *insert(
    _task: Task,
    _slot: Slot,
    _page: number,
    _block: number,
    _length: number,
    _unwritten: boolean,
  ): Routine<void> {
    throw new Error('not written yet');
  }

  /**
   * Unmaps pages of [first, end) from the front and frees their blocks, a bounded number of extents a call; returns the
   * page where it stopped (`end` when done): the caller goes on from there in another handle. CREDITS_REMOVE_STEP.
   */
  // biome-ignore lint/correctness/useYield: the body follows
  *remove(_task: Task, _slot: Slot, _first: number, _end: number): Routine<number> {
    throw new Error('not written yet');
  }

  /**
   * Makes `count` unwritten pages from `first`, all of one extent, written; with `unwritten`, the other way round, for
   * zeroing a range in place. CREDITS_CONVERT.
   */
  // biome-ignore lint/correctness/useYield: the body follows
  *convert(_task: Task, _slot: Slot, _first: number, _count: number, _unwritten = false): Routine<void> {
    throw new Error('not written yet');
  }

  /**
   * Moves every extent from page `from` on by `delta` pages, a step a call. For delta < 0 the pages [from + delta, from)
   * are a hole already. `resume` is undefined at first, then what the last call returned, until that is SHIFT_DONE; each
   * call in its own handle, the inode locked against everything else meanwhile. CREDITS_SHIFT_STEP. Throws EFBIG, with
   * nothing changed, when an extent would move past the last page.
   */
  // biome-ignore lint/correctness/useYield: the body follows
  *shift(_task: Task, _slot: Slot, _from: number, _delta: number, _resume?: number): Routine<number> {
    throw new Error('not written yet');
  }
}
