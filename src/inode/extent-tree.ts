/**
 * The B+tree under an extent map: finding a leaf, making room, taking entries out. What extents mean is extent-map.ts's.
 *
 * Any thread may call, holding the inode's extent-map lock, exclusive and inside a journal handle for changes.
 *
 *  1. An inner entry's page is the first page below it. (The format only asks that it be not above.)
 *  2. No node but an empty file's root is empty.
 *  3. A change allocates and loads what it needs first, then changes without sleeping: what fails has changed nothing. A
 *     deletion does not fail; merging underfull nodes after it is a change of its own, and may fail unnoticed.
 *  4. The root holds fewer entries than any node, so that a pushed-down root has room.
 *
 * Locks: the allocator's, inside. Frames on a path are pinned.
 */

import { ALLOCATE_METADATA_CREDITS, type Allocator, FREE_CREDITS } from '../allocator/allocator.js';
import { assert } from '../assert.js';
import { corrupt, StoreError } from '../errors.js';
import { BlockKind, HEADER_WORDS, HeaderAt } from '../format/block-header.js';
import {
  closeEntries,
  copyEntries,
  ENTRY_WORDS,
  entryBlock,
  entryPage,
  entryUnwritten,
  extentNodeCapacity,
  findExtentEntry,
  MAX_EXTENT_LEVEL,
  NODE_ENTRIES_WORD,
  openEntries,
  setChild,
  setEntryPage,
  setExtent,
  setExtentNode,
} from '../format/extent-node.js';
import { InodeAt, ROOT_CAPACITY } from '../format/inode-record.js';
import type { Journal } from '../journal/journal.js';
import type { Metadata } from '../journal/metadata.js';
import type { Frames } from '../pagecache/frames.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { Inode } from '../sync/layout.js';
import type { Frame, Slot } from '../units.js';
import { Path } from './extent-path.js';
import { slotAt } from './inode.js';

/**
 * Levels below the root that credits reckon with: 2^32 extents in half-full nodes of the smallest block (169 entries)
 * take four.
 */
const LEVELS = 4;
/** Blocks that `makeRoom` and an insertion may dirty: the record; per level a node, its new sibling, an allocation; a pushed-down root. */
export const CREDITS_GROW = 1 + LEVELS * (2 + ALLOCATE_METADATA_CREDITS) + 1 + ALLOCATE_METADATA_CREDITS;
/** Blocks that taking entries out of one leaf may dirty: the record; per level a node, its sibling and what freeing one takes. */
export const CREDITS_SHRINK = 1 + LEVELS * (2 + FREE_CREDITS);
/** Blocks that changing entries of one leaf in place may dirty. */
export const CREDITS_CHANGE = 1 + LEVELS;

export const NODE_MIN_ENTRIES = 4;
/** From a node's level and count to its first entry, in words. In the root they are neighbours. */
export const NODE_HEAD_DISTANCE = NODE_ENTRIES_WORD - HEADER_WORDS;
const RECORD_LEVEL_WORD = InodeAt.RootLevel / 4;
const RECORD_ENTRIES_WORD = InodeAt.RootEntries / 4;
const RECORD_BLOCKS_WORD = InodeAt.Blocks / 4;
const RECORD_TREE_BLOCKS_WORD = InodeAt.TreeBlocks / 4;
const OWNER_WORD = HeaderAt.Owner / 4;
const GENERATION_WORD = HeaderAt.Generation / 4;

export class ExtentTree {
  readonly nodeMax: number;
  readonly rootMax: number;
  /** A node with no more entries looks for a sibling to merge with; the two then fit in `mergedMax`. */
  private readonly low: number;
  private readonly mergedMax: number;
  private readonly paths: Path[] = [];

  constructor(
    readonly arena: Arena,
    readonly frames: Frames,
    readonly journal: Journal,
    readonly metadata: Metadata,
    readonly allocator: Allocator,
    maxEntries = Number.POSITIVE_INFINITY,
  ) {
    this.nodeMax = Math.min(extentNodeCapacity(frames.blockBytes), maxEntries);
    assert(this.nodeMax >= NODE_MIN_ENTRIES, `${this.nodeMax} entries in a node`);
    this.rootMax = Math.min(ROOT_CAPACITY, this.nodeMax - 2);
    this.low = Math.floor(this.nodeMax / 3);
    this.mergedMax = Math.floor((this.nodeMax * 3) / 4);
  }

  /** An empty path; give it back with `release`. */
  path(): Path {
    return this.paths.pop() ?? new Path();
  }

  /** Unpins the path's frames and takes it back. */
  release(path: Path): void {
    this.clear(path);
    this.paths.push(path);
  }

  private clear(path: Path): void {
    for (const frame of path.frames) this.unpin(frame);
    path.frames.length = 0;
    path.depth = 0;
  }

  /** The superblock's frame is pinned by the journal, for good, and nobody else. */
  private unpin(frame: Frame): void {
    if (frame !== this.journal.superblockFrame) this.metadata.put(frame);
  }

  /** The pinned frame of the inode's record. */
  private *recordFrame(task: Task, slot: Slot): Routine<Frame> {
    const block = this.arena.unsigned[slotAt(this.arena, slot) + Inode.RecordBlock];
    if (block === 0) return this.journal.superblockFrame;
    const frame = this.metadata.tryGet(task, block, BlockKind.Inodes);
    return frame !== 0 ? frame : yield* this.metadata.get(task, block, BlockKind.Inodes);
  }

  /** Leads `path` to the leaf entry that starts last at or before `page`. */
  *seek(task: Task, slot: Slot, page: number, path: Path): Routine<void> {
    this.clear(path);
    const at = slotAt(this.arena, slot);
    const frame = yield* this.recordFrame(task, slot);
    path.frames[0] = frame;
    path.words[0] = this.frames.words(frame);
    path.record = this.frames.word(frame) + this.arena.unsigned[at + Inode.RecordOffset] / 4;
    path.heads[0] = path.record + RECORD_LEVEL_WORD;
    path.bases[0] = path.record + RECORD_ENTRIES_WORD;
    const height = path.height(0);
    if (height > MAX_EXTENT_LEVEL || path.count(0) > this.rootMax || (height > 0 && path.count(0) === 0)) {
      throw this.corrupted(slot, this.arena.unsigned[at + Inode.RecordBlock], 'impossible root');
    }
    for (let level = 0; ; level++) {
      const found = findExtentEntry(path.words[level], path.bases[level], path.count(level), page);
      path.positions[level] = found;
      path.depth = level;
      if (level === height) return;
      path.positions[level] = Math.max(found, 0);
      yield* this.descend(task, slot, path, level);
    }
  }

  /** Adds the child that the path's last node takes. */
  private *descend(task: Task, slot: Slot, path: Path, level: number): Routine<void> {
    const block = entryBlock(path.words[level], path.bases[level], path.positions[level]);
    let frame = this.metadata.tryGet(task, block, BlockKind.ExtentNode);
    if (frame === 0) frame = yield* this.metadata.get(task, block, BlockKind.ExtentNode);
    this.enter(path, level + 1, frame);
    const words = path.words[level + 1];
    const owner = words[this.frames.word(frame) + OWNER_WORD];
    const count = path.count(level + 1);
    if (owner !== this.arena.unsigned[slotAt(this.arena, slot) + Inode.Ino]) {
      throw this.corrupted(slot, block, `node of inode ${owner}`);
    }
    const generation = words[this.frames.word(frame) + GENERATION_WORD];
    if (generation !== this.arena.unsigned[slotAt(this.arena, slot) + Inode.Generation]) {
      throw this.corrupted(slot, block, 'node of an earlier inode of that number');
    }
    if (path.height(level + 1) !== path.height(level) - 1) throw this.corrupted(slot, block, 'node of a wrong level');
    if (count === 0 || count > this.nodeMax) throw this.corrupted(slot, block, `${count} entries`);
  }

  /** Puts a pinned node at `level` of the path. */
  private enter(path: Path, level: number, frame: Frame): void {
    const node = this.frames.word(frame);
    path.frames[level] = frame;
    path.words[level] = this.frames.words(frame);
    path.heads[level] = node + HEADER_WORDS;
    path.bases[level] = node + NODE_ENTRIES_WORD;
  }

  corrupted(slot: Slot, block: number, detail: string): StoreError {
    const ino = this.arena.unsigned[slotAt(this.arena, slot) + Inode.Ino];
    return corrupt(`extent tree of inode ${ino}`, block, detail);
  }

  /** The node at `level` changed. */
  dirty(task: Task, path: Path, level: number): void {
    this.journal.dirty(task, path.frames[level]);
  }

  /** Data blocks were added to or taken from the inode: its words and its record say so. Each change of a map ends here. */
  changed(task: Task, slot: Slot, path: Path, blocks: number): void {
    const at = slotAt(this.arena, slot);
    const { unsigned } = this.arena;
    unsigned[at + Inode.Blocks] += blocks;
    path.words[0][path.record + RECORD_BLOCKS_WORD] = unsigned[at + Inode.Blocks];
    this.countChange(slot);
    this.dirty(task, path, 0);
  }

  /** Who remembers anything of the tree forgets it. */
  private countChange(slot: Slot): void {
    Atomics.add(this.arena.words, slotAt(this.arena, slot) + Inode.MapSequence, 1);
  }

  private addTreeBlocks(task: Task, path: Path, blocks: number): void {
    path.words[0][path.record + RECORD_TREE_BLOCKS_WORD] += blocks;
    this.dirty(task, path, 0);
  }

  private capacity(level: number): number {
    return level === 0 ? this.rootMax : this.nodeMax;
  }

  /** After the first page of the node at `level` changed: the entries above it say so too. */
  private fixKeys(task: Task, path: Path, level: number): void {
    const page = path.firstPage(level);
    for (let above = level - 1; above >= 0; above--) {
      const position = path.positions[above];
      if (entryPage(path.words[above], path.bases[above], position) === page) return;
      setEntryPage(path.words[above], path.bases[above], position, page);
      this.dirty(task, path, above);
      if (position !== 0) return;
    }
  }

  /** Changes an extent of the leaf in place. The order of the extents stays as it is. */
  setExtent(
    task: Task,
    path: Path,
    index: number,
    page: number,
    block: number,
    length: number,
    unwritten: boolean,
  ): void {
    const { depth } = path;
    setExtent(path.words[depth], path.bases[depth], index, page, block, length, unwritten);
    this.dirty(task, path, depth);
    if (index === 0) this.fixKeys(task, path, depth);
  }

  /** Gives an extent of the leaf another length. */
  resize(task: Task, path: Path, index: number, length: number): void {
    const words = path.words[path.depth];
    const base = path.bases[path.depth];
    const page = entryPage(words, base, index);
    const block = entryBlock(words, base, index);
    setExtent(words, base, index, page, block, length, entryUnwritten(words, base, index));
    this.dirty(task, path, path.depth);
  }

  /** Adds `delta` to the pages of the leaf's extents from `index` on. */
  movePages(task: Task, path: Path, index: number, end: number, delta: number): void {
    const { depth } = path;
    const words = path.words[depth];
    const base = path.bases[depth];
    for (let i = index; i < end; i++) setEntryPage(words, base, i, entryPage(words, base, i) + delta);
    this.dirty(task, path, depth);
    if (index === 0) this.fixKeys(task, path, depth);
  }

  /** Adds an extent to the leaf at `index`; `makeRoom` has made the room. */
  addExtent(
    task: Task,
    path: Path,
    index: number,
    page: number,
    block: number,
    length: number,
    unwritten: boolean,
  ): void {
    const { depth } = path;
    const count = path.count(depth);
    assert(count < this.capacity(depth), 'no room was made in the leaf');
    openEntries(path.words[depth], path.bases[depth], count, index, 1);
    path.setCount(depth, count + 1);
    this.setExtent(task, path, index, page, block, length, unwritten);
  }

  /** Splits nodes so that the leaf takes `room` more entries (1 or 2). The path leads to the same entry afterwards. */
  *makeRoom(task: Task, slot: Slot, path: Path, room: number): Routine<void> {
    const { depth } = path;
    if (path.count(depth) + room <= this.capacity(depth)) return;
    // The highest node that cannot stay as it is; 0 when the root is pushed down.
    let top = depth;
    while (top > 0 && path.count(top - 1) === this.capacity(top - 1)) top--;
    assert(top > 0 || path.height(0) < MAX_EXTENT_LEVEL, 'the extent tree is too high');
    const fresh = yield* this.allocateNodes(task, slot, path, depth - top + 1);
    if (top === 0) this.pushRootDown(task, path, fresh.pop()!);
    for (let level = top === 0 ? 2 : top; level <= path.depth; level++) this.split(task, path, level, fresh.pop()!);
    assert(fresh.length === 0, 'a node too many was allocated');
    this.countChange(slot);
  }

  private *allocateNodes(task: Task, slot: Slot, path: Path, count: number): Routine<Frame[]> {
    const at = slotAt(this.arena, slot);
    const ino = this.arena.unsigned[at + Inode.Ino];
    const generation = this.arena.unsigned[at + Inode.Generation];
    const near = path.depth - 1;
    const goal =
      near < 0
        ? this.arena.unsigned[at + Inode.RecordBlock]
        : entryBlock(path.words[near], path.bases[near], path.positions[near]);
    const blocks: number[] = [];
    const fresh: Frame[] = [];
    try {
      while (fresh.length < count) {
        blocks.push(yield* this.allocator.allocateMetadata(task, goal));
        fresh.push(yield* this.metadata.create(task, blocks[fresh.length], BlockKind.ExtentNode, ino, generation));
      }
    } catch (error) {
      for (const frame of fresh) this.metadata.put(frame);
      for (let i = 0; i < blocks.length; i++) {
        if (i < fresh.length) yield* this.metadata.forget(task, blocks[i]);
        yield* this.allocator.free(task, blocks[i], 1);
      }
      throw error;
    }
    this.addTreeBlocks(task, path, count);
    return fresh;
  }

  /** The root's entries go to a new node, which becomes its only child. */
  private pushRootDown(task: Task, path: Path, frame: Frame): void {
    const height = path.height(0);
    const count = path.count(0);
    path.depth++;
    for (let level = path.depth; level > 1; level--) {
      path.frames[level] = path.frames[level - 1];
      path.words[level] = path.words[level - 1];
      path.heads[level] = path.heads[level - 1];
      path.bases[level] = path.bases[level - 1];
      path.positions[level] = path.positions[level - 1];
    }
    this.enter(path, 1, frame);
    path.positions[1] = path.positions[0];
    path.positions[0] = 0;
    copyEntries(path.words[0], path.bases[0], 0, count, path.words[1], path.bases[1], 0);
    path.setHead(1, height, count);
    closeEntries(path.words[0], path.bases[0], count, 0, count);
    setChild(path.words[0], path.bases[0], 0, path.firstPage(1), this.blockOf(frame));
    path.setHead(0, height + 1, 1);
    this.dirty(task, path, 0);
    this.journal.dirty(task, frame);
  }

  /** The device block of a node's frame, as its header says. */
  private blockOf(frame: Frame): number {
    return this.frames.words(frame)[this.frames.word(frame) + HeaderAt.Block / 4];
  }

  /**
   * Moves the node's upper half to the new node after it. Where the path is at the node's last entry only that one moves,
   * so that a file written from front to back gets full nodes.
   */
  private split(task: Task, path: Path, level: number, fresh: Frame): void {
    const count = path.count(level);
    const position = path.positions[level];
    const middle = position === count - 1 ? count - 1 : count >>> 1;
    const old = path.frames[level];
    const words = path.words[level];
    const base = path.bases[level];
    const node = this.frames.word(fresh);
    const freshWords = this.frames.words(fresh);
    copyEntries(words, base, middle, count - middle, freshWords, node + NODE_ENTRIES_WORD, 0);
    setExtentNode(freshWords, node, path.height(level), count - middle);
    closeEntries(words, base, count, middle, count - middle);
    path.setCount(level, middle);

    const above = level - 1;
    const place = path.positions[above] + 1;
    openEntries(path.words[above], path.bases[above], path.count(above), place, 1);
    const first = entryPage(freshWords, node + NODE_ENTRIES_WORD, 0);
    setChild(path.words[above], path.bases[above], place, first, this.blockOf(fresh));
    path.setCount(above, path.count(above) + 1);

    this.journal.dirty(task, old);
    this.journal.dirty(task, fresh);
    this.dirty(task, path, above);
    if (position >= middle) {
      this.enter(path, level, fresh);
      path.positions[level] = position - middle;
      path.positions[above] = place;
      this.unpin(old);
    } else {
      this.unpin(fresh);
    }
  }

  /**
   * Takes `count` entries at `index` out of the leaf, frees nodes that become empty and merges underfull ones. The path
   * leads nowhere afterwards; its root stays good for `changed`. Does not fail.
   */
  *deleteExtents(task: Task, slot: Slot, path: Path, index: number, count: number): Routine<void> {
    let level = path.depth;
    let first = index;
    let removed = count;
    // Nodes that lose their last entry go, and their parents' entries with them.
    while (level > 0 && removed === path.count(level)) {
      yield* this.freeNode(task, path, level);
      level--;
      first = path.positions[level];
      removed = 1;
    }
    const left = path.count(level) - removed;
    closeEntries(path.words[level], path.bases[level], path.count(level), first, removed);
    if (left === 0) path.setHead(0, 0, 0);
    else path.setCount(level, left);
    this.dirty(task, path, level);
    if (first === 0 && left > 0) this.fixKeys(task, path, level);
    try {
      yield* this.mergeUpwards(task, slot, path, level);
    } catch (error) {
      // An underfull node is no fault. Who needs the sibling that could not be read will meet its error.
      if (!(error instanceof StoreError)) throw error;
    }
  }

  /** Frees the block of the path's node at `level`, which is its last one. */
  private *freeNode(task: Task, path: Path, level: number): Routine<void> {
    const frame = path.frames[level];
    const block = this.blockOf(frame);
    try {
      yield* this.allocator.free(task, block, 1);
    } catch (error) {
      // Its group's bitmap cannot be read. Half a deletion would be worse than a lost block, which `check` finds.
      if (!(error instanceof StoreError)) throw error;
    }
    this.unpin(frame);
    path.frames.length = level;
    yield* this.metadata.forget(task, block);
    this.addTreeBlocks(task, path, -1);
  }

  /** Merges the path's nodes from `level` up with siblings while they are underfull, then pulls a lone child into the root. */
  private *mergeUpwards(task: Task, slot: Slot, path: Path, from: number): Routine<void> {
    for (let level = from; level > 0 && path.count(level) <= this.low; level--) {
      if (path.count(level - 1) < 2 || !(yield* this.mergeWithSibling(task, slot, path, level))) break;
    }
    while (path.height(0) > 0 && path.count(0) === 1) {
      if (!(yield* this.pullIntoRoot(task, slot, path))) return;
    }
  }

  /** Merges the path's node at `level` with the one after it (or before it), if both fit in one. */
  private *mergeWithSibling(task: Task, slot: Slot, path: Path, level: number): Routine<boolean> {
    const above = level - 1;
    const isLast = path.positions[above] + 1 === path.count(above);
    const right = isLast ? path.positions[above] : path.positions[above] + 1;
    path.positions[above] = right - 1;
    for (let i = path.frames.length - 1; i >= level; i--) this.unpin(path.frames[i]);
    path.frames.length = level;
    yield* this.descend(task, slot, path, above);
    path.positions[above] = right;
    // The right node takes the place of the leaf's level for a moment: levels below are not used any more.
    const leftFrame = path.frames[level];
    const leftWords = path.words[level];
    const leftBase = path.bases[level];
    const leftHead = path.heads[level];
    const leftCount = path.count(level);
    try {
      path.frames.length = level;
      yield* this.descend(task, slot, path, above);
      const count = path.count(level);
      if (leftCount + count > this.mergedMax) return false;
      const height = path.height(level);
      copyEntries(path.words[level], path.bases[level], 0, count, leftWords, leftBase, leftCount);
      yield* this.freeNode(task, path, level);
      leftWords[leftHead] = height | ((leftCount + count) << 16);
      this.journal.dirty(task, leftFrame);
    } finally {
      this.unpin(leftFrame);
    }
    closeEntries(path.words[above], path.bases[above], path.count(above), right, 1);
    path.setCount(above, path.count(above) - 1);
    this.dirty(task, path, above);
    return true;
  }

  /** The root takes the entries of its only child, if it has the room. */
  private *pullIntoRoot(task: Task, slot: Slot, path: Path): Routine<boolean> {
    for (let i = path.frames.length - 1; i > 0; i--) this.unpin(path.frames[i]);
    path.frames.length = 1;
    path.positions[0] = 0;
    yield* this.descend(task, slot, path, 0);
    const count = path.count(1);
    const height = path.height(1);
    if (count > this.rootMax) return false;
    const base = path.bases[1];
    const entries = path.words[1].slice(base, base + count * ENTRY_WORDS);
    yield* this.freeNode(task, path, 1);
    path.words[0].set(entries, path.bases[0]);
    path.setHead(0, height, count);
    this.dirty(task, path, 0);
    return true;
  }
}
