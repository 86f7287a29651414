/**
 * The extent map of a file: a B+tree from pages to runs of device blocks, its root in the inode's record.
 *
 * Any thread may call. The caller holds the inode's extent-map lock: shared for lookups, exclusive for changes (both asserted
 * in verify mode); changes also need an open journal handle with the credits given below. Throws EUCLEAN for a tree that
 * contradicts itself, ENOSPC (with nothing changed) when no block for a node is left.
 *
 *  1. Extents do not overlap, and none is empty. Neighbours that could be one extent usually are; a shift may leave some.
 *  2. Each change counts Inode.MapSequence up and keeps Inode.Blocks and the record's counts exact.
 */
import { type Allocator, FREE_CREDITS } from '../allocator/allocator.js';
import { assert } from '../assert.js';
import {
  entryBlock,
  entryEnd,
  entryLength,
  entryPage,
  entryUnwritten,
  MAX_EXTENT_LENGTH,
} from '../format/extent-node.js';
import type { Journal } from '../journal/journal.js';
import type { Metadata } from '../journal/metadata.js';
import type { Frames } from '../pagecache/frames.js';
import type { BlockRun } from '../pagecache/mapping-operations.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { type Lockdep, LockMode, LockRank } from '../sync/lockdep.js';
import type { Slot } from '../units.js';
import { convertExtent, replaceExtent } from './extent-convert.js';
import { joinable, joinableAfter, toRight } from './extent-join.js';
import { ExtentLookup, fillRun } from './extent-lookup.js';
import { REMOVE_RUNS, removeExtents } from './extent-remove.js';
import { shiftDown, shiftUp } from './extent-shift.js';
import { CREDITS_CHANGE, CREDITS_GROW, CREDITS_SHRINK, ExtentTree } from './extent-tree.js';
import { mapLockAt } from './inode.js';

/** Blocks that one insertion may dirty. It either adds an extent, or joins two. */
export const CREDITS_INSERT = Math.max(CREDITS_GROW, CREDITS_SHRINK + CREDITS_CHANGE);
/** Blocks that one conversion may dirty: a split, and joining with the neighbour on either side. */
export const CREDITS_CONVERT = CREDITS_GROW + 2 * CREDITS_SHRINK;
/** Blocks that a removal within one extent may dirty: a split or a deletion, and the bitmap of what it frees. */
export const CREDITS_REMOVE_ONE = Math.max(CREDITS_GROW, CREDITS_SHRINK + CREDITS_CHANGE) + FREE_CREDITS;
/** Blocks that one step of a removal may dirty: as for one extent, and the bitmaps of its other runs. */
export const CREDITS_REMOVE_STEP = CREDITS_REMOVE_ONE + (REMOVE_RUNS - 1) * FREE_CREDITS;
/** Blocks that one step of a shift may dirty. */
export const CREDITS_SHIFT_STEP = CREDITS_GROW + CREDITS_CHANGE + CREDITS_SHRINK;

/** One extent, as `next` gives it. */
export class Extent {
  page = 0;
  block = 0;
  length = 0;
  unwritten = false;
}

export { SHIFT_DONE } from './extent-shift.js';

export interface ExtentMapOptions {
  /** Entries of a node, for tests of deep trees; by default what fits in a block. */
  maxEntries?: number;
}

export class ExtentMap {
  private readonly tree: ExtentTree;
  private readonly cached: ExtentLookup;

  constructor(
    readonly arena: Arena,
    readonly frames: Frames,
    readonly journal: Journal,
    readonly metadata: Metadata,
    readonly allocator: Allocator,
    options: ExtentMapOptions = {},
  ) {
    this.tree = new ExtentTree(arena, frames, journal, metadata, allocator, options.maxEntries);
    this.cached = new ExtentLookup(this.tree);
  }

  /**
   * The run that starts at `page`, at most `max` pages long, into `run`: a hole's length reaches to the next extent (or
   * `max`). False, and nothing said, when a block of the tree is not cached: then ask `lookup`. Hot: no allocation.
   */
  tryLookup(task: Task, slot: Slot, page: number, run: BlockRun, max: number): boolean {
    if (task.lockdep !== null) this.assertLocked(task.lockdep, slot);
    return this.cached.tryLookup(task, slot, page, run, max);
  }

  *lookup(task: Task, slot: Slot, page: number, run: BlockRun, max: number): Routine<void> {
    if (this.tryLookup(task, slot, page, run, max)) return;
    yield* this.lookupNear(task, slot, page, run, max);
  }

  /** As `lookup`; returns the block after the extent before `page` (where the file would best go on), or 0. */
  *lookupNear(task: Task, slot: Slot, page: number, run: BlockRun, max: number): Routine<number> {
    const { tree } = this;
    if (task.lockdep !== null) this.assertLocked(task.lockdep, slot);
    const path = tree.path();
    try {
      yield* tree.seek(task, slot, page, path);
      const words = path.words[path.depth];
      const base = path.bases[path.depth];
      const { index } = path;
      fillRun(run, words, base, index, page, Math.min(page + max, path.nextPage()));
      return index < 0 ? 0 : entryBlock(words, base, index) + entryLength(words, base, index);
    } finally {
      tree.release(path);
    }
  }

  /** The first extent that ends after `page`, whole, into `out`; false when there is none. */
  *next(task: Task, slot: Slot, page: number, out: Extent): Routine<boolean> {
    const { tree } = this;
    const path = tree.path();
    try {
      yield* tree.seek(task, slot, page, path);
      let { index } = path;
      if (index < 0 || entryEnd(path.words[path.depth], path.bases[path.depth], index) <= page) {
        const next = path.nextPage();
        if (next === Number.POSITIVE_INFINITY) return false;
        if (index + 1 === path.count(path.depth)) yield* tree.seek(task, slot, next, path);
        else path.positions[path.depth]++;
        index = path.index;
      }
      const words = path.words[path.depth];
      const base = path.bases[path.depth];
      out.page = entryPage(words, base, index);
      out.block = entryBlock(words, base, index);
      out.length = entryLength(words, base, index);
      out.unwritten = entryUnwritten(words, base, index);
      return true;
    } finally {
      tree.release(path);
    }
  }

  /**
   * Reads every leaf that holds extents of [first, end), and the bitmaps of their blocks: throws here, rather than to those
   * who have begun to free the range, what cannot be read or does not agree.
   */
  *probe(task: Task, slot: Slot, first: number, end: number): Routine<void> {
    const { tree } = this;
    const path = tree.path();
    try {
      for (let page = first; page < end; page = path.pageAfterLeaf()) {
        yield* tree.seek(task, slot, page, path);
        const words = path.words[path.depth];
        const base = path.bases[path.depth];
        for (let i = Math.max(path.index, 0); i < path.count(path.depth) && entryPage(words, base, i) < end; i++) {
          if (entryEnd(words, base, i) <= first) continue;
          yield* this.allocator.probe(task, entryBlock(words, base, i), entryLength(words, base, i));
        }
      }
    } finally {
      tree.release(path);
    }
  }

  /** Maps a hole to `length` blocks from `block`, joined with neighbours that fit. CREDITS_INSERT. */
  *insert(task: Task, slot: Slot, page: number, block: number, length: number, unwritten: boolean): Routine<void> {
    this.assertExclusive(task, slot);
    const { tree } = this;
    const path = tree.path();
    const rightPath = tree.path();
    try {
      yield* tree.seek(task, slot, page, path);
      const next = path.nextPage();
      const left = path.index;
      assert(
        length > 0 &&
          next >= page + length &&
          (left < 0 || entryEnd(path.words[path.depth], path.bases[path.depth], left) <= page),
        `slot ${slot}: pages ${page} … ${page + length - 1} are no hole`,
      );
      const leftLength = joinable(path, left, page, block, unwritten);
      const right = next === page + length ? yield* toRight(tree, task, slot, next, path, rightPath) : null;
      const rightLength = right === null ? 0 : joinableAfter(right, right.index, block + length, unwritten);
      const joined = leftLength + length + rightLength;
      if (joined === length || joined > MAX_EXTENT_LENGTH) {
        if (right === path) path.positions[path.depth] = left;
        yield* tree.makeRoom(task, slot, path, 1);
        tree.addExtent(task, path, path.index + 1, page, block, length, unwritten);
      } else if (leftLength > 0) {
        tree.resize(task, path, left, joined);
        if (right !== null && rightLength > 0) yield* tree.deleteExtents(task, slot, right, right.index, 1);
      } else if (right !== null) {
        tree.setExtent(task, right, right.index, page, block, joined, unwritten);
      }
      tree.changed(task, slot, path, length);
    } finally {
      tree.release(rightPath);
      tree.release(path);
    }
  }

  /**
   * Unmaps pages of [first, end) from the front and frees their blocks, at most a leaf's extents a call; returns the
   * page where it stopped (`end` when done): the caller goes on from there in another handle. CREDITS_REMOVE_STEP.
   */
  *remove(task: Task, slot: Slot, first: number, end: number): Routine<number> {
    this.assertExclusive(task, slot);
    return yield* removeExtents(this.tree, task, slot, first, end, true);
  }

  /** As `remove`, but the blocks are the caller's: to undo an insertion. */
  *unmap(task: Task, slot: Slot, first: number, end: number): Routine<number> {
    this.assertExclusive(task, slot);
    return yield* removeExtents(this.tree, task, slot, first, end, false);
  }

  /**
   * Makes `count` unwritten pages from `first`, all of one extent, written; with `unwritten`, the other way round, for
   * zeroing a range in place. CREDITS_CONVERT.
   */
  *convert(task: Task, slot: Slot, first: number, count: number, unwritten = false): Routine<void> {
    this.assertExclusive(task, slot);
    yield* convertExtent(this.tree, task, slot, first, count, unwritten);
  }

  /**
   * Lets `count` written pages from `first`, all of one extent, lie in other blocks; returns the first block that they had,
   * which is the caller's to free. Done again with that block, it is undone, and does not fail. CREDITS_CONVERT.
   */
  *replace(task: Task, slot: Slot, first: number, count: number, block: number): Routine<number> {
    this.assertExclusive(task, slot);
    return yield* replaceExtent(this.tree, task, slot, first, count, block);
  }

  /**
   * Moves every extent from page `from` on by `delta` pages, a step a call. For delta < 0 the pages [from + delta, from)
   * are a hole already. `resume` is undefined at first, then what the last call returned, until that is SHIFT_DONE; each
   * call in its own handle, the inode locked against everything else meanwhile. CREDITS_SHIFT_STEP. Throws EFBIG, with
   * nothing changed, when an extent would move past the last page.
   */
  *shift(task: Task, slot: Slot, from: number, delta: number, resume?: number): Routine<number> {
    this.assertExclusive(task, slot);
    return delta < 0
      ? yield* shiftDown(this.tree, task, slot, from, delta, resume)
      : yield* shiftUp(this.tree, task, slot, from, delta, resume);
  }

  private assertLocked(lockdep: Lockdep, slot: Slot): void {
    lockdep.assertHeld(LockRank.ExtentMap, mapLockAt(this.arena, slot));
  }

  private assertExclusive(task: Task, slot: Slot): void {
    task.lockdep?.assertHeld(LockRank.ExtentMap, mapLockAt(this.arena, slot), LockMode.Exclusive);
  }
}
