/**
 * The name tree: which inode each name stands for, in byte order of the names. A B+tree over name nodes; its shape is
 * kept by name-split.ts and name-merge.ts.
 *
 * Any thread may call, with a `Names` of its own. The caller holds the Names rwsem (GlobalLock.Names), shared for lookup
 * and list, exclusive for changes, and for changes has a journal handle open with the credits below. The methods take no
 * lock of their own.
 *
 * Invariants:
 * 1. A change that throws before it has changed anything throws ENOSPC, EUCLEAN or EIO; after that it cannot fail.
 * 2. Header.Files is the number of names.
 */
import type { Allocator } from '../allocator/allocator.js';
import { assert } from '../assert.js';
import { corrupt } from '../errors.js';
import {
  compareName,
  copyName,
  findChild,
  findName,
  insertName,
  nameCellBytes,
  nameLength,
  nameNodeCount,
  nameNodeFree,
  nameStart,
  nameValue,
  nextNameNode,
  setNameValue,
} from '../format/name-node.js';
import type { Journal } from '../journal/journal.js';
import type { Metadata } from '../journal/metadata.js';
import type { Frames } from '../pagecache/frames.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { Header } from '../sync/layout.js';
import { type Frame, MAX_NAME_BYTES } from '../units.js';
import { compareNames } from './name-bytes.js';
import { removeFromLeaf } from './name-merge.js';
import { insertSplitting } from './name-split.js';
import { NameTree } from './name-tree.js';

/**
 * Blocks that an insertion may dirty. With k levels splitting: k nodes, k new ones, the node above, the superblock, and the
 * bitmaps of the new ones, which lie near each other: enough for nine levels out of one group, for four if every block came
 * from a group of its own.
 */
export const NAME_INSERT_CREDITS = 22;
/** Blocks that a removal may dirty: the same reckoning with k levels merging. */
export const NAME_REMOVE_CREDITS = 22;
/** Blocks that a replacement may dirty: a leaf. */
export const NAME_REPLACE_CREDITS = 1;

export interface NameEntry {
  name: string;
  ino: number;
}

export class Names {
  private readonly tree: NameTree;
  /** A name on its way to a string; never across a yield. */
  private readonly scratch = Buffer.alloc(MAX_NAME_BYTES);

  constructor(
    readonly arena: Arena,
    readonly frames: Frames,
    readonly journal: Journal,
    readonly metadata: Metadata,
    readonly allocator: Allocator,
  ) {
    this.tree = new NameTree(arena, frames, journal, metadata, allocator);
  }

  /** The inode number of a name, 0 where there is none, or -1 where a block on the way is not cached: then `lookup`. */
  tryLookup(task: Task, name: Uint8Array): number {
    const { tree } = this;
    let block = tree.root();
    let expected = -1;
    for (;;) {
      const frame = tree.tryLoad(task, block);
      if (frame === 0) return -1;
      const level = this.levelOrPut(frame, block, expected);
      const next = step(tree, frame, level, name);
      tree.put(frame);
      if (level === 0) return next;
      block = next;
      expected = level - 1;
    }
  }

  /** The inode number of a name, or 0. */
  *lookup(task: Task, name: Uint8Array): Routine<number> {
    const cached = this.tryLookup(task, name);
    if (cached !== -1) return cached;
    const { tree } = this;
    let block = tree.root();
    let expected = -1;
    for (;;) {
      const frame = yield* tree.load(task, block, expected);
      const level = tree.level(frame, block, expected);
      const next = step(tree, frame, level, name);
      tree.put(frame);
      if (level === 0) return next;
      block = next;
      expected = level - 1;
    }
  }

  /** Adds a name that is not there (asserted). Throws ENOSPC with nothing changed. */
  *insert(task: Task, name: Uint8Array, ino: number): Routine<void> {
    yield* this.tree.descend(task, name, this.tree.path);
    yield* this.insertSought(task, name, ino);
  }

  /**
   * As `lookup`, by who holds the lock exclusive and means to add the name: where it is not there, the way to its leaf stays
   * pinned until `insertSought` or `endSearch`, and no other name may be changed meanwhile.
   */
  *search(task: Task, name: Uint8Array): Routine<number> {
    const { tree } = this;
    const { path } = tree;
    yield* tree.descend(task, name, path);
    const index = path.indexes[path.depth - 1];
    if (index < 0) return 0;
    const ino = tree.value(path.frames[path.depth - 1], index);
    tree.release(path);
    return ino;
  }

  endSearch(): void {
    this.tree.release(this.tree.path);
  }

  /** Adds the name that `search` has just not found. Throws ENOSPC with nothing changed. */
  *insertSought(task: Task, name: Uint8Array, ino: number): Routine<void> {
    const { tree } = this;
    const { path } = tree;
    try {
      assert(name.length > 0 && name.length <= MAX_NAME_BYTES, `a name of ${name.length} bytes`);
      const leaf = path.frames[path.depth - 1];
      const index = -1 - path.indexes[path.depth - 1];
      assert(index >= 0, 'insertion of a name that is already there');
      const bytes = tree.bytes(leaf);
      const at = tree.at(leaf);
      if (nameNodeFree(bytes, at) >= nameCellBytes(name.length)) {
        tree.dirty(task, leaf);
        insertName(bytes, at, tree.blockBytes, index, ino, name, name.length);
      } else {
        yield* insertSplitting(tree, task, path, index, name, ino);
      }
      Atomics.add(this.arena.words, Header.Files, 1);
    } finally {
      tree.release(path);
    }
  }

  /** Removes a name; the inode number it stood for, or 0 where it was not there. */
  *remove(task: Task, name: Uint8Array): Routine<number> {
    const { tree } = this;
    const { path } = tree;
    yield* tree.descend(task, name, path);
    try {
      const index = path.indexes[path.depth - 1];
      if (index < 0) return 0;
      const ino = tree.value(path.frames[path.depth - 1], index);
      yield* removeFromLeaf(tree, task, path, index);
      Atomics.sub(this.arena.words, Header.Files, 1);
      return ino;
    } finally {
      tree.release(path);
    }
  }

  /** Lets an existing name stand for another inode; the number it stood for before, or 0 (nothing changed). */
  *replace(task: Task, name: Uint8Array, ino: number): Routine<number> {
    const { tree } = this;
    const { path } = tree;
    yield* tree.descend(task, name, path);
    try {
      const leaf = path.frames[path.depth - 1];
      const index = path.indexes[path.depth - 1];
      if (index < 0) return 0;
      const before = tree.value(leaf, index);
      tree.dirty(task, leaf);
      setNameValue(tree.bytes(leaf), tree.at(leaf), index, ino);
      return before;
    } finally {
      tree.release(path);
    }
  }

  /**
   * Appends to `out` up to `limit` names that start with `prefix` and come after `after`, in order; returns how many.
   * Either may be empty. To go on, call again with `after` the last name given.
   */
  *list(task: Task, prefix: Uint8Array, after: Uint8Array, limit: number, out: NameEntry[]): Routine<number> {
    if (limit <= 0) return 0;
    const isAfter = compareNames(after, prefix) >= 0 && after.length > 0;
    const start = isAfter ? after : prefix;
    const { tree } = this;
    let frame = yield* this.leafOf(task, start);
    let listed = 0;
    try {
      const found = findName(tree.bytes(frame), tree.at(frame), start, start.length);
      let index = found < 0 ? -1 - found : isAfter ? found + 1 : found;
      for (;;) {
        const taken = this.take(frame, index, prefix, limit - listed, out);
        const isEnd = index + taken < tree.count(frame);
        listed += taken;
        const next = nextNameNode(tree.bytes(frame), tree.at(frame));
        if (isEnd || listed === limit || next === 0) return listed;
        const low = copyName(tree.bytes(frame), tree.at(frame), tree.count(frame) - 1);
        tree.put(frame);
        frame = 0 as Frame;
        frame = yield* tree.load(task, next, 0);
        // Names only rise along the chain, so it cannot lead in circles; nor, from one call to the next, back to the start.
        if (tree.count(frame) === 0 || !isAbove(tree, frame, low) || !isAbove(tree, frame, start)) {
          throw corrupt('name node', next, 'its names are not above those of the leaf before it');
        }
        index = 0;
      }
    } finally {
      if (frame !== 0) tree.put(frame);
    }
  }

  /** Appends the leaf's entries from `index` on that start with the prefix; stops at the first that does not. */
  private take(frame: Frame, index: number, prefix: Uint8Array, limit: number, out: NameEntry[]): number {
    const bytes = this.tree.bytes(frame);
    const at = this.tree.at(frame);
    const end = Math.min(nameNodeCount(bytes, at), index + limit);
    let i = index;
    for (; i < end; i++) {
      const start = nameStart(bytes, at, i);
      const length = nameLength(bytes, at, i);
      if (!startsWith(bytes, start, length, prefix)) break;
      for (let k = 0; k < length; k++) this.scratch[k] = bytes[start + k];
      out.push({ name: this.scratch.toString('utf8', 0, length), ino: nameValue(bytes, at, i) });
    }
    return i - index;
  }

  private *leafOf(task: Task, key: Uint8Array): Routine<Frame> {
    const { tree } = this;
    let block = tree.root();
    let expected = -1;
    for (;;) {
      const frame = yield* tree.load(task, block, expected);
      const level = tree.level(frame, block, expected);
      if (level === 0) return frame;
      block = step(tree, frame, level, key);
      tree.put(frame);
      expected = level - 1;
    }
  }

  private levelOrPut(frame: Frame, block: number, expected: number): number {
    try {
      return this.tree.level(frame, block, expected);
    } catch (error) {
      this.tree.put(frame);
      throw error;
    }
  }
}

/** In a leaf: the key's inode number, or 0. Above: the child that the key belongs to. */
function step(tree: NameTree, frame: Frame, level: number, key: Uint8Array): number {
  const bytes = tree.bytes(frame);
  const at = tree.at(frame);
  if (level > 0) return nameValue(bytes, at, findChild(bytes, at, key, key.length));
  const found = findName(bytes, at, key, key.length);
  return found < 0 ? 0 : nameValue(bytes, at, found);
}

/** Whether the leaf's first name is above `name`. */
function isAbove(tree: NameTree, frame: Frame, name: Uint8Array): boolean {
  return compareName(tree.bytes(frame), tree.at(frame), 0, name, name.length) > 0;
}

function startsWith(bytes: Uint8Array, start: number, length: number, prefix: Uint8Array): boolean {
  if (length < prefix.length) return false;
  for (let k = 0; k < prefix.length; k++) if (bytes[start + k] !== prefix[k]) return false;
  return true;
}
