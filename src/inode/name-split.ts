/**
 * Growing the name tree: a name goes into a leaf that has no room for it.
 *
 * The leaf splits, and so does every ancestor that has no room for the longest possible separator; so how many blocks are
 * needed is known before anything changes. The separator that goes up is the shortest prefix of the right node's first
 * name that tells it from the left one's last. Names that come in order leave full leaves behind: at the tree's right
 * edge a full leaf is not halved but gets a neighbour.
 *
 * The caller holds the Names rwsem exclusive and a journal handle, and has the path pinned.
 */
import { StoreError } from '../errors.js';
import {
  copyName,
  insertName,
  moveNames,
  NAME_LEVELS_MAX,
  nameCellBytes,
  nameNodeCount,
  nextNameNode,
  setNextNameNode,
  splitIndex,
} from '../format/name-node.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { type Frame, MAX_NAME_BYTES } from '../units.js';
import type { NamePath, NameTree } from './name-tree.js';

const LONGEST_CELL_BYTES = nameCellBytes(MAX_NAME_BYTES);
const NO_BYTES = new Uint8Array(0);

/** Inserts the cell at `index` of the path's leaf. Throws ENOSPC with nothing changed. */
export function* insertSplitting(
  tree: NameTree,
  task: Task,
  path: NamePath,
  index: number,
  key: Uint8Array,
  ino: number,
): Routine<void> {
  const leaf = path.depth - 1;
  let top = leaf - 1;
  while (top >= 0 && tree.free(path.frames[top]) < LONGEST_CELL_BYTES) top--;
  if (top < 0 && path.depth === NAME_LEVELS_MAX) {
    throw new StoreError('ENOSPC', { detail: `the name tree has its ${NAME_LEVELS_MAX} levels` });
  }
  const blocks: number[] = [];
  const count = top < 0 ? path.depth + 1 : leaf - top;
  const fresh = yield* tree.createNodes(task, count, path.blocks[leaf] + 1, blocks);

  let separator = splitLeaf(tree, task, path.frames[leaf], fresh[0], blocks[0], index, key, ino);
  for (let depth = leaf - 1, level = 1; depth >= 0; depth--, level++) {
    const frame = path.frames[depth];
    const position = path.indexes[depth] + 1;
    const child = blocks[level - 1];
    tree.dirty(task, frame);
    if (depth > top) separator = splitInner(tree, frame, fresh[level], position, separator, child);
    else insertCell(tree, frame, position, child, separator);
    if (depth === top) break;
  }
  if (top < 0) {
    const root = fresh[count - 1];
    insertCell(tree, root, 0, path.blocks[0], NO_BYTES);
    insertCell(tree, root, 1, blocks[count - 2], separator);
    tree.setRoot(task, blocks[count - 1]);
  }
  for (const frame of fresh) tree.put(frame);
}

function insertCell(tree: NameTree, frame: Frame, index: number, value: number, key: Uint8Array): void {
  const done = insertName(tree.bytes(frame), tree.at(frame), tree.blockBytes, index, value, key, key.length);
  if (!done) throw new Error('a split name node has no room');
}

/** Moves the leaf's upper part to `right` and inserts the cell on its side; returns the separator of the two. */
function splitLeaf(
  tree: NameTree,
  task: Task,
  left: Frame,
  right: Frame,
  rightBlock: number,
  index: number,
  key: Uint8Array,
  ino: number,
): Uint8Array {
  const bytes = tree.bytes(left);
  const at = tree.at(left);
  const count = nameNodeCount(bytes, at);
  const next = nextNameNode(bytes, at);
  tree.dirty(task, left);
  const append = index === count && next === 0;
  const middle = append ? count : splitIndex(bytes, at);
  moveNames(bytes, at, middle, tree.bytes(right), tree.at(right), tree.blockBytes);
  if (index <= middle && !append) insertCell(tree, left, index, ino, key);
  else insertCell(tree, right, index - middle, ino, key);
  setNextNameNode(tree.bytes(right), tree.at(right), next);
  setNextNameNode(bytes, at, rightBlock);
  const last = copyName(bytes, at, nameNodeCount(bytes, at) - 1);
  return shortestSeparator(last, copyName(tree.bytes(right), tree.at(right), 0));
}

/**
 * Splits an inner node and inserts the cell of a new child at `position` of it; returns what separates the two halves.
 * The right half's first cell keeps its name, which only serves as the separator above it.
 */
function splitInner(
  tree: NameTree,
  left: Frame,
  right: Frame,
  position: number,
  key: Uint8Array,
  child: number,
): Uint8Array {
  const bytes = tree.bytes(left);
  const at = tree.at(left);
  const count = nameNodeCount(bytes, at);
  const middle = position === count ? count - 1 : splitIndex(bytes, at);
  const separator = copyName(bytes, at, middle);
  moveNames(bytes, at, middle, tree.bytes(right), tree.at(right), tree.blockBytes);
  if (position <= middle) insertCell(tree, left, position, child, key);
  else insertCell(tree, right, position - middle, child, key);
  return separator;
}

/** The shortest name above `low` and not above `high`, for low < high. */
export function shortestSeparator(low: Uint8Array, high: Uint8Array): Uint8Array {
  let common = 0;
  while (common < low.length && low[common] === high[common]) common++;
  return high.subarray(0, common + 1);
}
