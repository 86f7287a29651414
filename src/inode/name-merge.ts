/**
 * Shrinking the name tree: a name leaves its leaf.
 *
 * A node that becomes empty is freed at once, with the ancestors that held nothing else. One that falls below a quarter
 * is merged with a neighbour under the same parent when both together stay below three quarters, so that the next few
 * insertions do not split them again. A root with one child gives way to it.
 *
 * The caller holds the Names rwsem exclusive and a journal handle, and has the path pinned.
 */
import {
  copyName,
  insertName,
  moveNames,
  nameCellBytes,
  nameLength,
  nextNameNode,
  removeName,
  setNextNameNode,
} from '../format/name-node.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Frame } from '../units.js';
import { isLocalDamage, type NamePath, type NameTree } from './name-tree.js';

const NO_BYTES = new Uint8Array(0);

/** Removes cell `index` of the path's leaf. */
export function* removeFromLeaf(tree: NameTree, task: Task, path: NamePath, index: number): Routine<void> {
  const leaf = path.depth - 1;
  const frame = path.frames[leaf];
  if (leaf === 0 || tree.count(frame) > 1) {
    removeCell(tree, task, frame, index);
    yield* shrink(tree, task, path, leaf);
  } else {
    yield* removeLeaf(tree, task, path);
  }
}

function removeCell(tree: NameTree, task: Task, frame: Frame, index: number): void {
  tree.dirty(task, frame);
  removeName(tree.bytes(frame), tree.at(frame), index);
}

/**
 * Removes a cell of an inner node. When it is the first one, the next cell takes over all names below its own, and what
 * comes to be inserted between must stay in order: its own name goes.
 */
function removeChild(tree: NameTree, task: Task, frame: Frame, index: number): void {
  removeCell(tree, task, frame, index);
  if (index > 0 || tree.count(frame) === 0) return;
  const child = tree.value(frame, 0);
  removeName(tree.bytes(frame), tree.at(frame), 0);
  insertName(tree.bytes(frame), tree.at(frame), tree.blockBytes, 0, child, NO_BYTES, 0);
}

/** Takes the path's leaf, which holds one name, out of the tree. */
function* removeLeaf(tree: NameTree, task: Task, path: NamePath): Routine<void> {
  const leaf = path.depth - 1;
  let cut = leaf;
  while (cut > 1 && tree.count(path.frames[cut - 1]) === 1) cut--;
  if (tree.count(path.frames[cut - 1]) === 1) {
    yield* emptyTree(tree, task, path);
    return;
  }
  const before = yield* lastLeafBefore(tree, task, path);
  if (before !== 0) {
    const gone = path.frames[leaf];
    tree.dirty(task, before);
    setNextNameNode(tree.bytes(before), tree.at(before), nextNameNode(tree.bytes(gone), tree.at(gone)));
    tree.put(before);
  }
  removeChild(tree, task, path.frames[cut - 1], path.indexes[cut - 1]);
  for (let depth = cut; depth <= leaf; depth++) yield* tree.giveBackAt(task, path, depth);
  yield* shrink(tree, task, path, cut - 1);
}

/** The path is all there is (lowering the root failed before): its leaf becomes the root, empty. */
function* emptyTree(tree: NameTree, task: Task, path: NamePath): Routine<void> {
  const leaf = path.depth - 1;
  removeCell(tree, task, path.frames[leaf], 0);
  tree.setRoot(task, path.blocks[leaf]);
  for (let depth = 0; depth < leaf; depth++) yield* tree.giveBackAt(task, path, depth);
}

/** The leaf to the left of the path's, pinned, or 0. */
function* lastLeafBefore(tree: NameTree, task: Task, path: NamePath): Routine<Frame> {
  let depth = path.depth - 2;
  while (depth >= 0 && path.indexes[depth] === 0) depth--;
  if (depth < 0) return 0 as Frame;
  let block = tree.value(path.frames[depth], path.indexes[depth] - 1);
  for (let level = path.depth - 2 - depth; ; level--) {
    const frame = yield* tree.load(task, block, level);
    if (level === 0) return frame;
    block = tree.value(frame, tree.count(frame) - 1);
    tree.put(frame);
  }
}

/** The node at `depth` of the path has lost a cell: merges it, then its parent, and lowers the root. */
function* shrink(tree: NameTree, task: Task, path: NamePath, depth: number): Routine<void> {
  let at = depth;
  while (at > 0 && tree.used(path.frames[at]) < tree.room / 4) {
    if (!(yield* mergeWithNeighbour(tree, task, path, at))) return;
    at--;
  }
  if (at === 0) yield* lowerRoot(tree, task, path);
}

function* mergeWithNeighbour(tree: NameTree, task: Task, path: NamePath, depth: number): Routine<boolean> {
  const parent = path.frames[depth - 1];
  const own = path.frames[depth];
  const index = path.indexes[depth - 1];
  const level = path.depth - 1 - depth;
  for (const other of [index + 1, index - 1]) {
    if (other < 0 || other >= tree.count(parent)) continue;
    const block = tree.value(parent, other);
    let neighbour: Frame;
    try {
      neighbour = yield* tree.load(task, block, level);
    } catch (error) {
      // The removal stands without this merge; whoever needs that node will hear of it.
      if (isLocalDamage(error)) continue;
      throw error;
    }
    if (other > index) {
      if (absorb(tree, task, parent, other, own, neighbour, level)) {
        yield* tree.giveBack(task, block, neighbour);
        return true;
      }
    } else if (absorb(tree, task, parent, index, neighbour, own, level)) {
      tree.put(neighbour);
      yield* tree.giveBackAt(task, path, depth);
      return true;
    }
    tree.put(neighbour);
  }
  return false;
}

/**
 * Moves all cells of `right`, which cell `index` of the parent leads to, to `left`, the node before it, and forgets that
 * cell. False, with nothing changed, when that would fill `left` too much.
 */
function absorb(
  tree: NameTree,
  task: Task,
  parent: Frame,
  index: number,
  left: Frame,
  right: Frame,
  level: number,
): boolean {
  const { blockBytes } = tree;
  const leftBytes = tree.bytes(left);
  const leftAt = tree.at(left);
  const rightBytes = tree.bytes(right);
  const rightAt = tree.at(right);
  // The first cell of an inner node may have any name; beside others it needs the one that the parent has for it.
  const separator = copyName(tree.bytes(parent), tree.at(parent), index);
  let needed = tree.used(right);
  if (level > 0) needed += nameCellBytes(separator.length) - nameCellBytes(nameLength(rightBytes, rightAt, 0));
  if (tree.used(left) + needed > (tree.room * 3) / 4) return false;

  tree.dirty(task, left);
  if (level > 0) {
    const child = tree.value(right, 0);
    insertName(leftBytes, leftAt, blockBytes, tree.count(left), child, separator, separator.length);
    moveNames(rightBytes, rightAt, 1, leftBytes, leftAt, blockBytes);
  } else {
    setNextNameNode(leftBytes, leftAt, nextNameNode(rightBytes, rightAt));
    moveNames(rightBytes, rightAt, 0, leftBytes, leftAt, blockBytes);
  }
  removeCell(tree, task, parent, index);
  return true;
}

/** An inner root with one child makes that child the root. */
function* lowerRoot(tree: NameTree, task: Task, path: NamePath): Routine<void> {
  for (let level = path.depth - 1; level > 0 && tree.count(path.frames[0]) === 1; level--) {
    const child = tree.value(path.frames[0], 0);
    let frame: Frame;
    try {
      frame = yield* tree.load(task, child, level - 1);
    } catch (error) {
      if (isLocalDamage(error)) return;
      throw error;
    }
    tree.setRoot(task, child);
    yield* tree.giveBackAt(task, path, 0);
    path.frames[0] = frame;
    path.blocks[0] = child;
  }
}
