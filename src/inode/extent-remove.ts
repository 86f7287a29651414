/**
 * Unmapping pages and freeing their blocks, in steps that fit a transaction.
 *
 * For tasks that hold the extent-map lock exclusive inside a handle.
 */
import { entryBlock, entryEnd, entryPage, entryUnwritten } from '../format/extent-node.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Slot } from '../units.js';
import type { Path } from './extent-path.js';
import type { ExtentTree } from './extent-tree.js';

/** Extents that one step frees, all of one leaf; each may be in a group of its own. */
export const REMOVE_EXTENTS = 32;

/** One step; returns the page to go on from, `end` when nothing of [first, end) is left. `freeing`: their blocks too. */
export function* removeExtents(
  tree: ExtentTree,
  task: Task,
  slot: Slot,
  first: number,
  end: number,
  freeing: boolean,
): Routine<number> {
  const path = tree.path();
  try {
    yield* tree.seek(task, slot, first, path);
    const words = path.words[path.depth];
    const base = path.bases[path.depth];
    let { index } = path;
    if (index < 0 || entryEnd(words, base, index) <= first) index++;
    else if (entryPage(words, base, index) < first && entryEnd(words, base, index) > end) {
      yield* cutMiddle(tree, task, slot, path, first, end, freeing);
      return end;
    }
    return yield* removeFromLeaf(tree, task, slot, path, index, first, end, freeing);
  } finally {
    tree.release(path);
  }
}

/** The range lies inside one extent, which becomes two. */
function* cutMiddle(
  tree: ExtentTree,
  task: Task,
  slot: Slot,
  path: Path,
  first: number,
  end: number,
  freeing: boolean,
): Routine<void> {
  yield* tree.makeRoom(task, slot, path, 1);
  const words = path.words[path.depth];
  const base = path.bases[path.depth];
  const { index } = path;
  const page = entryPage(words, base, index);
  const block = entryBlock(words, base, index);
  const extentEnd = entryEnd(words, base, index);
  const unwritten = entryUnwritten(words, base, index);
  if (freeing) yield* tree.allocator.free(task, block + (first - page), end - first);
  tree.resize(task, path, index, first - page);
  tree.addExtent(task, path, index + 1, end, block + (end - page), extentEnd - end, unwritten);
  tree.changed(task, slot, path, first - end);
}

/** Removes what the leaf's extents from `index` on have of the range. When freeing fails, what was freed before is unmapped. */
function* removeFromLeaf(
  tree: ExtentTree,
  task: Task,
  slot: Slot,
  path: Path,
  index: number,
  first: number,
  end: number,
  freeing: boolean,
): Routine<number> {
  const words = path.words[path.depth];
  const base = path.bases[path.depth];
  const count = path.count(path.depth);
  let stopped = end;
  let freed = 0;
  // Whole extents to take out: [whole, wholeEnd).
  let whole = -1;
  let wholeEnd = -1;
  let failure: unknown;
  try {
    for (let i = index; ; i++) {
      if (i === count) {
        stopped = Math.min(path.pageAfterLeaf(), end);
        break;
      }
      const page = entryPage(words, base, i);
      if (page >= end) break;
      if (i - index === REMOVE_EXTENTS) {
        stopped = page;
        break;
      }
      const block = entryBlock(words, base, i);
      const extentEnd = entryEnd(words, base, i);
      const from = Math.max(page, first);
      const to = Math.min(extentEnd, end);
      if (freeing) yield* tree.allocator.free(task, block + (from - page), to - from);
      freed += to - from;
      if (from > page) {
        tree.resize(task, path, i, from - page);
      } else if (to < extentEnd) {
        tree.setExtent(task, path, i, to, block + (to - page), extentEnd - to, entryUnwritten(words, base, i));
      } else {
        if (whole < 0) whole = i;
        wholeEnd = i + 1;
      }
    }
  } catch (error) {
    failure = error;
  }
  if (whole >= 0) yield* tree.deleteExtents(task, slot, path, whole, wholeEnd - whole);
  if (freed > 0) tree.changed(task, slot, path, -freed);
  if (failure !== undefined) throw failure;
  return stopped;
}
