/**
 * Turning pages of an extent from unwritten to written, or back.
 *
 * For tasks that hold the extent-map lock exclusive inside a handle.
 */
import { assert } from '../assert.js';
import {
  entryBlock,
  entryEnd,
  entryLength,
  entryPage,
  entryUnwritten,
  MAX_EXTENT_LENGTH,
} from '../format/extent-node.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Slot } from '../units.js';
import { joinable, joinWithNext } from './extent-join.js';
import type { ExtentTree } from './extent-tree.js';

/** `count` pages from `first`, all of one extent, become `unwritten` or written. */
export function* convertExtent(
  tree: ExtentTree,
  task: Task,
  slot: Slot,
  first: number,
  count: number,
  unwritten: boolean,
): Routine<void> {
  yield* setPart(tree, task, slot, first, count, 0, unwritten);
}

/**
 * `count` pages from `first`, all of one extent, get the blocks from `target` on, written; returns the first of those that
 * they had. Fails only with nothing changed, and not at all when it is to be undone.
 */
export function* replaceExtent(
  tree: ExtentTree,
  task: Task,
  slot: Slot,
  first: number,
  count: number,
  target: number,
): Routine<number> {
  return yield* setPart(tree, task, slot, first, count, target, false);
}

/** Gives part of an extent another kind, or other blocks (`target`, unless that is 0); returns the block it had. */
function* setPart(
  tree: ExtentTree,
  task: Task,
  slot: Slot,
  first: number,
  count: number,
  target: number,
  unwritten: boolean,
): Routine<number> {
  const path = tree.path();
  try {
    yield* tree.seek(task, slot, first, path);
    let { index } = path;
    const words = path.words[path.depth];
    const base = path.bases[path.depth];
    assert(
      count > 0 && index >= 0 && first + count <= entryEnd(words, base, index),
      `slot ${slot}: pages ${first} … ${first + count - 1} are not of one extent`,
    );
    const isUnwritten = entryUnwritten(words, base, index);
    if (target === 0 && isUnwritten === unwritten) return entryBlock(words, base, index);
    const page = entryPage(words, base, index);
    const block = entryBlock(words, base, index);
    const before = first - page;
    const own = target === 0 ? block + before : target;
    const after = entryLength(words, base, index) - before - count;

    // The usual case of writing a preallocated file from the front: the border to the left neighbour moves.
    const left = before === 0 && after > 0 ? joinable(path, index - 1, page, own, unwritten) : 0;
    if (left > 0 && left + count <= MAX_EXTENT_LENGTH) {
      tree.resize(task, path, index - 1, left + count);
      tree.setExtent(task, path, index, page + count, block + count, after, isUnwritten);
      tree.changed(task, slot, path, 0);
      return block;
    }

    yield* tree.makeRoom(task, slot, path, (before > 0 ? 1 : 0) + (after > 0 ? 1 : 0));
    index = path.index;
    if (before > 0) {
      tree.resize(task, path, index, before);
      tree.addExtent(task, path, ++index, first, own, count, unwritten);
    } else {
      tree.setExtent(task, path, index, page, own, count, unwritten);
    }
    if (after > 0) {
      tree.addExtent(task, path, index + 1, first + count, block + before + count, after, isUnwritten);
    }
    tree.changed(task, slot, path, 0);
    if (after === 0) yield* joinWithNext(tree, task, slot, first);
    if (before === 0 && page > 0) yield* joinWithNext(tree, task, slot, page - 1);
    return block + before;
  } finally {
    tree.release(path);
  }
}
