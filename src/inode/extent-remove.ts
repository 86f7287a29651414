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

/** Runs of blocks that one step frees, of extents of one leaf; each may be in a group of its own. */
export const REMOVE_RUNS = 32;

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
  let freed = 0;
  // Whole extents to take out: [whole, wholeEnd).
  let whole = index;
  let wholeEnd = index;
  let failure: unknown;
  let i = index;
  try {
    for (let runs = 0; runs < REMOVE_RUNS && i < count && entryPage(words, base, i) < end; runs++) {
      const page = entryPage(words, base, i);
      const from = Math.max(page, first);
      const block = entryBlock(words, base, i) + (from - page);
      let length = Math.min(entryEnd(words, base, i), end) - from;
      let next = i + 1;
      for (; next < count && entryPage(words, base, next) < end; next++) {
        if (entryBlock(words, base, next) !== block + length) break;
        length += Math.min(entryEnd(words, base, next), end) - entryPage(words, base, next);
      }
      if (freeing) yield* tree.allocator.free(task, block, length);
      freed += length;
      wholeEnd = next;
      if (from > page) {
        tree.resize(task, path, i, from - page);
        whole = i + 1;
      }
      if (entryEnd(words, base, next - 1) > end) {
        cutFront(tree, task, path, next - 1, end);
        wholeEnd = next - 1;
      }
      i = next;
    }
  } catch (error) {
    failure = error;
  }
  const stopped = Math.min(i < count ? entryPage(words, base, i) : path.pageAfterLeaf(), end);
  if (wholeEnd > whole) yield* tree.deleteExtents(task, slot, path, whole, wholeEnd - whole);
  if (freed > 0) tree.changed(task, slot, path, -freed);
  if (failure !== undefined) throw failure;
  return stopped;
}

/** Takes the pages before `page` off an extent. */
function cutFront(tree: ExtentTree, task: Task, path: Path, index: number, page: number): void {
  const words = path.words[path.depth];
  const base = path.bases[path.depth];
  const block = entryBlock(words, base, index) + (page - entryPage(words, base, index));
  const length = entryEnd(words, base, index) - page;
  tree.setExtent(task, path, index, page, block, length, entryUnwritten(words, base, index));
}
