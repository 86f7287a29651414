/**
 * Moving a file's extents by a number of pages: down when a range collapses, up when one is inserted.
 *
 * For tasks that hold the extent-map lock exclusive inside a handle, and the inode's other locks from the first step to
 * the last. One step moves the extents of one leaf. Extents move away from those not yet moved: going down from the first
 * leaf to the last, going up from the last to the first; so keys never collide, and the tree is sound after each step.
 */
import { assert } from '../assert.js';
import { StoreError } from '../errors.js';
import { entryBlock, entryEnd, entryPage, entryUnwritten, findExtentEntry } from '../format/extent-node.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { MAX_FILE_PAGES, type Slot } from '../units.js';
import { joinWithNext } from './extent-join.js';
import type { Path } from './extent-path.js';
import type { ExtentTree } from './extent-tree.js';

/** What a step returns when nothing is left to move. */
export const SHIFT_DONE = -1;

/** One step of moving the extents from page `from` on by `delta` < 0; `resume` is the first page not yet moved. */
export function* shiftDown(
  tree: ExtentTree,
  task: Task,
  slot: Slot,
  from: number,
  delta: number,
  resume?: number,
): Routine<number> {
  const start = resume ?? from;
  const path = tree.path();
  try {
    yield* tree.seek(task, slot, start, path);
    if (path.index < 0 || pageAt(path, path.index) < start) {
      assert(
        path.index < 0 || endAt(path, path.index) <= from + delta || resume !== undefined,
        `slot ${slot}: no hole to collapse`,
      );
      const next = path.nextPage();
      if (next === Number.POSITIVE_INFINITY) return SHIFT_DONE;
      if (path.index + 1 < path.count(path.depth)) path.positions[path.depth]++;
      else yield* tree.seek(task, slot, next, path);
    }
    const { index } = path;
    const page = pageAt(path, index);
    assert(index === 0 || endAt(path, index - 1) <= page + delta, `slot ${slot}: no hole to collapse`);
    const rest = path.pageAfterLeaf();
    tree.movePages(task, path, index, path.count(path.depth), delta);
    tree.changed(task, slot, path, 0);
    if (resume === undefined && page + delta > 0) yield* joinWithNext(tree, task, slot, page + delta - 1);
    return rest === Number.POSITIVE_INFINITY ? SHIFT_DONE : rest;
  } finally {
    tree.release(path);
  }
}

/** One step of moving the extents from page `from` on by `delta` > 0; all from page `resume` on have been moved. */
export function* shiftUp(
  tree: ExtentTree,
  task: Task,
  slot: Slot,
  from: number,
  delta: number,
  resume?: number,
): Routine<number> {
  const path = tree.path();
  try {
    if (resume === undefined) {
      yield* tree.seek(task, slot, MAX_FILE_PAGES, path);
      if (path.index >= 0 && endAt(path, path.index) + delta > MAX_FILE_PAGES) {
        throw new StoreError('EFBIG', { detail: 'an extent would lie past the last page' });
      }
      yield* splitAt(tree, task, slot, from, path);
    }
    yield* tree.seek(task, slot, resume === undefined ? MAX_FILE_PAGES : resume - 1, path);
    const last = path.index;
    if (last < 0 || pageAt(path, last) < from) return SHIFT_DONE;
    const { depth } = path;
    const index = findExtentEntry(path.words[depth], path.bases[depth], last, from - 1) + 1;
    const page = pageAt(path, index);
    tree.movePages(task, path, index, last + 1, delta);
    tree.changed(task, slot, path, 0);
    return index > 0 || page === from ? SHIFT_DONE : page;
  } finally {
    tree.release(path);
  }
}

/** Makes `page` the start of an extent, if it lies within one. */
function* splitAt(tree: ExtentTree, task: Task, slot: Slot, page: number, path: Path): Routine<void> {
  yield* tree.seek(task, slot, page, path);
  if (path.index < 0 || endAt(path, path.index) <= page || pageAt(path, path.index) === page) return;
  yield* tree.makeRoom(task, slot, path, 1);
  const { depth, index } = path;
  const words = path.words[depth];
  const base = path.bases[depth];
  const before = page - pageAt(path, index);
  const after = endAt(path, index) - page;
  const block = entryBlock(words, base, index) + before;
  tree.resize(task, path, index, before);
  tree.addExtent(task, path, index + 1, page, block, after, entryUnwritten(words, base, index));
  tree.changed(task, slot, path, 0);
}

function pageAt(path: Path, index: number): number {
  return entryPage(path.words[path.depth], path.bases[path.depth], index);
}

function endAt(path: Path, index: number): number {
  return entryEnd(path.words[path.depth], path.bases[path.depth], index);
}
