/**
 * The name tree's blocks: its root, the way from the root to a leaf, new nodes and freed ones. What changes in them is
 * in names.ts (in place), name-split.ts (growing) and name-merge.ts (shrinking).
 *
 * Invariants:
 * 1. All leaves lie at level 0 and are chained from left to right; no node is empty but a root leaf.
 * 2. An inner root has at least two children.
 * 3. The root's block number is in the superblock, and changes in the transaction that makes or frees the root.
 *
 * Locks: none taken. Readers hold the Names rwsem shared; those who change hold it exclusive and have a journal handle.
 * A change is planned first (blocks read and allocated: what may fail or sleep), then made without a yield.
 */
import type { Allocator } from '../allocator/allocator.js';
import { corrupt, StoreError } from '../errors.js';
import { BlockKind } from '../format/block-header.js';
import {
  findChild,
  findName,
  initNameNode,
  NAME_LEVELS_MAX,
  nameNodeCount,
  nameNodeFree,
  nameNodeLevel,
  nameNodeRoom,
  nameValue,
} from '../format/name-node.js';
import { SuperblockAt } from '../format/superblock.js';
import type { Journal } from '../journal/journal.js';
import type { Metadata } from '../journal/metadata.js';
import type { Frames } from '../pagecache/frames.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { Header } from '../sync/layout.js';
import type { Frame } from '../units.js';

const NO_FRAME = 0 as Frame;

/** The nodes from the root (depth 0) to a leaf, pinned. Reused. */
export class NamePath {
  /** Nodes on it. */
  depth = 0;
  readonly frames: Frame[] = new Array<Frame>(NAME_LEVELS_MAX).fill(NO_FRAME);
  readonly blocks: number[] = new Array<number>(NAME_LEVELS_MAX).fill(0);
  /** In inner nodes the cell whose child is next on the path; in the leaf what `findName` said. */
  readonly indexes: number[] = new Array<number>(NAME_LEVELS_MAX).fill(0);
}

export class NameTree {
  readonly blockBytes: number;
  /** Bytes of a node for its cells. */
  readonly room: number;
  /** For whoever holds the Names rwsem exclusive. */
  readonly path = new NamePath();

  constructor(
    arena: Arena,
    readonly frames: Frames,
    readonly journal: Journal,
    readonly metadata: Metadata,
    readonly allocator: Allocator,
  ) {
    this.blockBytes = arena.words[Header.BlockBytes];
    this.room = nameNodeRoom(this.blockBytes);
  }

  /** The memory that holds a frame; `at(frame)` is where in it. */
  bytes(frame: Frame): Uint8Array {
    return this.frames.segment(frame);
  }

  at(frame: Frame): number {
    return this.frames.offset(frame);
  }

  count(frame: Frame): number {
    return nameNodeCount(this.bytes(frame), this.at(frame));
  }

  value(frame: Frame, index: number): number {
    return nameValue(this.bytes(frame), this.at(frame), index);
  }

  free(frame: Frame): number {
    return nameNodeFree(this.bytes(frame), this.at(frame));
  }

  used(frame: Frame): number {
    return this.room - this.free(frame);
  }

  root(): number {
    const frame = this.journal.superblockFrame;
    const bytes = this.bytes(frame);
    const at = this.at(frame) + SuperblockAt.NameRoot;
    return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
  }

  setRoot(task: Task, block: number): void {
    const frame = this.journal.superblockFrame;
    const bytes = this.bytes(frame);
    const at = this.at(frame) + SuperblockAt.NameRoot;
    this.journal.dirty(task, frame);
    bytes[at] = block;
    bytes[at + 1] = block >>> 8;
    bytes[at + 2] = block >>> 16;
    bytes[at + 3] = block >>> 24;
  }

  dirty(task: Task, frame: Frame): void {
    this.journal.dirty(task, frame);
  }

  /** A cached node, pinned, or 0. */
  tryLoad(task: Task, block: number): Frame {
    return this.metadata.tryGet(task, block, BlockKind.NameNode);
  }

  /** The node in `block`, pinned, and of the level that its parent expects (-1: any). */
  *load(task: Task, block: number, expected: number): Routine<Frame> {
    let frame = this.tryLoad(task, block);
    if (frame === 0) frame = yield* this.metadata.get(task, block, BlockKind.NameNode);
    try {
      this.level(frame, block, expected);
    } catch (error) {
      this.put(frame);
      throw error;
    }
    return frame;
  }

  put(frame: Frame): void {
    this.metadata.put(frame);
  }

  /**
   * The level of the node in `block`, whose parent expects `expected` there (-1: the root may have any). Anything else
   * would send a descent round in circles.
   */
  level(frame: Frame, block: number, expected: number): number {
    const level = nameNodeLevel(this.bytes(frame), this.at(frame));
    if (expected >= 0 ? level !== expected : level >= NAME_LEVELS_MAX) {
      throw corrupt('name node', block, `level ${level}${expected >= 0 ? ` where ${expected} was expected` : ''}`);
    }
    if (level > 0 && this.count(frame) === 0) throw corrupt('name node', block, 'inner node without children');
    return level;
  }

  /** Pins the way to the leaf where `key` is or would be. On an error nothing stays pinned. */
  *descend(task: Task, key: Uint8Array, path: NamePath): Routine<void> {
    path.depth = 0;
    let block = this.root();
    let expected = -1;
    try {
      for (;;) {
        let frame = this.tryLoad(task, block);
        if (frame === 0) frame = yield* this.metadata.get(task, block, BlockKind.NameNode);
        path.frames[path.depth] = frame;
        path.blocks[path.depth] = block;
        const depth = path.depth++;
        const level = this.level(frame, block, expected);
        const bytes = this.bytes(frame);
        const at = this.at(frame);
        if (level === 0) {
          path.indexes[depth] = findName(bytes, at, key, key.length);
          return;
        }
        path.indexes[depth] = findChild(bytes, at, key, key.length);
        block = nameValue(bytes, at, path.indexes[depth]);
        expected = level - 1;
      }
    } catch (error) {
      this.release(path);
      throw error;
    }
  }

  release(path: NamePath): void {
    for (let depth = 0; depth < path.depth; depth++) {
      if (path.frames[depth] !== 0) this.put(path.frames[depth]);
    }
    path.depth = 0;
  }

  /**
   * `count` new nodes, the i-th of level i, pinned and in the transaction; all or none. Their blocks are appended to
   * `blocks`, near `goal`.
   */
  *createNodes(task: Task, count: number, goal: number, blocks: number[]): Routine<Frame[]> {
    const frames: Frame[] = [];
    try {
      for (let level = 0; level < count; level++) {
        blocks.push(yield* this.allocator.allocateMetadata(task, goal));
        const frame = yield* this.metadata.create(task, blocks[level], BlockKind.NameNode, 0);
        frames.push(frame);
        initNameNode(this.bytes(frame), this.at(frame), this.blockBytes, level);
      }
    } catch (error) {
      for (let level = 0; level < blocks.length; level++) {
        yield* this.giveBack(task, blocks[level], level < frames.length ? frames[level] : NO_FRAME);
      }
      throw error;
    }
    return frames;
  }

  /**
   * Frees a node's block; its page's pin (if any) goes too. By now the node is out of the tree, and that stands: where
   * the bitmap cannot be read, the block stays allocated until a repair.
   */
  *giveBack(task: Task, block: number, frame: Frame): Routine<void> {
    if (frame !== 0) {
      this.put(frame);
      yield* this.metadata.forget(task, block);
    }
    try {
      yield* this.allocator.free(task, block, 1);
    } catch (error) {
      if (!isLocalDamage(error)) throw error;
    }
  }

  /** `giveBack` for the node at `depth` of the path. */
  *giveBackAt(task: Task, path: NamePath, depth: number): Routine<void> {
    const frame = path.frames[depth];
    path.frames[depth] = NO_FRAME;
    yield* this.giveBack(task, path.blocks[depth], frame);
  }
}

/** One block that cannot be read: no reason to fail what can do without it. */
export function isLocalDamage(error: unknown): boolean {
  return error instanceof StoreError && (error.code === 'EUCLEAN' || error.code === 'EIO');
}
