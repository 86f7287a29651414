/**
 * Joining neighbouring extents: two become one when the second goes on where the first ends, in pages and in blocks, and
 * both are written, or neither.
 *
 * For tasks that hold the extent-map lock exclusive inside a handle.
 */
import { StoreError } from '../errors.js';
import { entryBlock, entryEnd, entryLength, entryUnwritten, MAX_EXTENT_LENGTH } from '../format/extent-node.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Slot } from '../units.js';
import type { Path } from './extent-path.js';
import type { ExtentTree } from './extent-tree.js';

/** The length of the leaf's extent `index` if an extent at (page, block) would continue it, else 0. */
export function joinable(path: Path, index: number, page: number, block: number, unwritten: boolean): number {
  if (index < 0) return 0;
  const words = path.words[path.depth];
  const base = path.bases[path.depth];
  const length = entryLength(words, base, index);
  const continues = entryEnd(words, base, index) === page && entryBlock(words, base, index) + length === block;
  return continues && entryUnwritten(words, base, index) === unwritten ? length : 0;
}

/** The length of the leaf's extent `index`, known to start at the right page, if it continues one that ends before `block`. */
export function joinableAfter(path: Path, index: number, block: number, unwritten: boolean): number {
  const words = path.words[path.depth];
  const base = path.bases[path.depth];
  if (entryBlock(words, base, index) !== block || entryUnwritten(words, base, index) !== unwritten) return 0;
  return entryLength(words, base, index);
}

/** A path to the extent after the current one, which starts at `next`: `path` itself within a leaf, else `spare`. */
export function* toRight(
  tree: ExtentTree,
  task: Task,
  slot: Slot,
  next: number,
  path: Path,
  spare: Path,
): Routine<Path> {
  if (path.index + 1 < path.count(path.depth)) {
    path.positions[path.depth]++;
    return path;
  }
  yield* tree.seek(task, slot, next, spare);
  return spare;
}

/**
 * Joins the extent that holds `page` with the one after it, if they fit. Separate extents are no fault, so a leaf that
 * cannot be read is left for others to meet. The caller calls `changed` some time before or after.
 */
export function* joinWithNext(tree: ExtentTree, task: Task, slot: Slot, page: number): Routine<void> {
  const path = tree.path();
  const spare = tree.path();
  try {
    yield* tree.seek(task, slot, page, path);
    const { index } = path;
    const words = path.words[path.depth];
    const base = path.bases[path.depth];
    const next = path.nextPage();
    if (index < 0 || entryEnd(words, base, index) !== next) return;
    const right = yield* toRight(tree, task, slot, next, path, spare);
    const length = entryLength(words, base, index);
    const after = entryBlock(words, base, index) + length;
    const rightLength = joinableAfter(right, right.index, after, entryUnwritten(words, base, index));
    if (rightLength === 0 || length + rightLength > MAX_EXTENT_LENGTH) return;
    tree.resize(task, path, index, length + rightLength);
    yield* tree.deleteExtents(task, slot, right, right.index, 1);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
  } finally {
    tree.release(spare);
    tree.release(path);
  }
}
