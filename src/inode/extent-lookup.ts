/**
 * Looking a page up in an extent tree whose nodes are cached: no routine, no allocation but now and then a directory.
 *
 * One per thread. The caller holds the inode's extent-map lock, so that the tree stays as it is; a node is pinned for as
 * long as it is read, and no longer, since the lock keeps its child in the tree.
 */
import { BlockKind } from '../format/block-header.js';
import {
  ENTRY_WORDS,
  entryBlock,
  entryEnd,
  entryPage,
  entryUnwritten,
  guessExtentEntry,
  NODE_ENTRIES_WORD,
} from '../format/extent-node.js';
import { InodeAt } from '../format/inode-record.js';
import { type BlockRun, RunKind } from '../pagecache/mapping-operations.js';
import type { Task } from '../routine/task.js';
import { Inode } from '../sync/layout.js';
import type { Frame, Slot } from '../units.js';
import { ExtentDirectory } from './extent-directory.js';
import { type ExtentTree, NODE_HEAD_DISTANCE } from './extent-tree.js';

/** Files whose directories a thread keeps; a power of two. */
const DIRECTORIES = 4;
const ROOT_ENTRIES_WORD = InodeAt.RootEntries / 4;
const RECORD_TREE_BLOCKS_WORD = InodeAt.TreeBlocks / 4;

export class ExtentLookup {
  private readonly directories = Array.from({ length: DIRECTORIES }, () => new ExtentDirectory());

  constructor(private readonly tree: ExtentTree) {}

  /** See `ExtentMap.tryLookup`. */
  tryLookup(task: Task, slot: Slot, page: number, run: BlockRun, max: number): boolean {
    const { arena } = this.tree;
    const at = arena.layout.inodeRecords + slot * Inode.Words;
    const directory = this.directories[slot & (DIRECTORIES - 1)];
    if (!directory.serves(slot, arena.unsigned[at + Inode.MapSequence])) {
      return this.lookupFromRoot(task, slot, at, directory, page, run, max);
    }
    const { entries, count } = directory;
    const index = guessExtentEntry(entries, 0, count, page, entries[0], entries[(count - 1) * ENTRY_WORDS]);
    const high = index + 1 < count ? entries[(index + 1) * ENTRY_WORDS] : Number.POSITIVE_INFINITY;
    if (index < 0) {
      fillRun(run, entries, 0, -1, page, Math.min(high, page + max));
      return true;
    }
    const leaf = entryBlock(entries, 0, index);
    return this.lookupBelow(task, leaf, 0, entryPage(entries, 0, index), high, page, run, max);
  }

  private lookupFromRoot(
    task: Task,
    slot: Slot,
    at: number,
    directory: ExtentDirectory,
    page: number,
    run: BlockRun,
    max: number,
  ): boolean {
    const { arena, frames, metadata, journal, rootMax } = this.tree;
    const block = arena.unsigned[at + Inode.RecordBlock];
    // The superblock's frame is pinned by the journal, for good.
    const frame = block === 0 ? journal.superblockFrame : metadata.tryGet(task, block, BlockKind.Inodes);
    if (frame === 0) return false;
    const words = frames.words(frame);
    const base = frames.word(frame) + arena.unsigned[at + Inode.RecordOffset] / 4 + ROOT_ENTRIES_WORD;
    const head = words[base - 1];
    const height = head & 0xffff;
    const count = head >>> 16;
    const isSound = count <= rootMax;
    let child = 0;
    let low = 0;
    let high = Number.POSITIVE_INFINITY;
    if (isSound) {
      if (height > 0) this.countLookup(task, slot, at, directory, words, base, height, count);
      const index = guessExtentEntry(words, base, count, page, low, high);
      if (index + 1 < count) high = entryPage(words, base, index + 1);
      if (height === 0 || index < 0) {
        fillRun(run, words, base, height === 0 ? index : -1, page, Math.min(high, page + max));
      } else {
        low = entryPage(words, base, index);
        child = entryBlock(words, base, index);
      }
    }
    if (block !== 0) metadata.put(frame);
    if (!isSound || child === 0) return isSound;
    return this.lookupBelow(task, child, height - 1, low, high, page, run, max);
  }

  /** From the node in `block`, of that height, whose pages lie in [low, high). */
  private lookupBelow(
    task: Task,
    block: number,
    height: number,
    low: number,
    high: number,
    page: number,
    run: BlockRun,
    max: number,
  ): boolean {
    const { frames, metadata } = this.tree;
    let child = block;
    let from = low;
    let to = high;
    for (let level = height; ; level--) {
      const frame = metadata.tryGet(task, child, BlockKind.ExtentNode);
      if (frame === 0) return false;
      const words = frames.words(frame);
      const base = frames.word(frame) + NODE_ENTRIES_WORD;
      const count = this.soundCount(words, base, level);
      if (count === 0) {
        metadata.put(frame);
        return false;
      }
      const index = guessExtentEntry(words, base, count, page, from, to);
      if (index + 1 < count) to = entryPage(words, base, index + 1);
      if (level === 0 || index < 0) {
        fillRun(run, words, base, level === 0 ? index : -1, page, Math.min(to, page + max));
        metadata.put(frame);
        return true;
      }
      from = entryPage(words, base, index);
      child = entryBlock(words, base, index);
      metadata.put(frame);
    }
  }

  /** Entries of a node, or 0 when it is none of that level: `ExtentTree.seek` says what is wrong with it. */
  private soundCount(words: Uint32Array, base: number, level: number): number {
    const head = words[base - NODE_HEAD_DISTANCE];
    const count = head >>> 16;
    return (head & 0xffff) === level && count <= this.tree.nodeMax ? count : 0;
  }

  /** Copies the inner nodes when lookups without the copy have become many. */
  private countLookup(
    task: Task,
    slot: Slot,
    at: number,
    directory: ExtentDirectory,
    words: Uint32Array,
    base: number,
    height: number,
    count: number,
  ): void {
    const leaves = words[base - ROOT_ENTRIES_WORD + RECORD_TREE_BLOCKS_WORD];
    if (!directory.isDue(slot, this.tree.arena.unsigned[at + Inode.MapSequence], leaves)) return;
    directory.begin(leaves);
    if (this.copyInner(task, directory, words, base, height, count)) directory.end();
  }

  private copyInner(
    task: Task,
    directory: ExtentDirectory,
    words: Uint32Array,
    base: number,
    height: number,
    count: number,
  ): boolean {
    if (height === 1) return directory.add(words, base, count);
    for (let i = 0; i < count; i++) {
      const frame: Frame = this.tree.metadata.tryGet(task, entryBlock(words, base, i), BlockKind.ExtentNode);
      if (frame === 0) return false;
      const childWords = this.tree.frames.words(frame);
      const childBase = this.tree.frames.word(frame) + NODE_ENTRIES_WORD;
      const childCount = this.soundCount(childWords, childBase, height - 1);
      const isCopied = childCount > 0 && this.copyInner(task, directory, childWords, childBase, height - 1, childCount);
      this.tree.metadata.put(frame);
      if (!isCopied) return false;
    }
    return true;
  }
}

/** The run at `page` that entry `index` of a leaf makes, or the hole after it up to `bound`; -1 for no entry. */
export function fillRun(
  run: BlockRun,
  words: Uint32Array,
  base: number,
  index: number,
  page: number,
  bound: number,
): void {
  if (index >= 0) {
    const end = entryEnd(words, base, index);
    if (end > page) {
      run.block = entryBlock(words, base, index) + (page - entryPage(words, base, index));
      run.length = Math.min(end, bound) - page;
      run.kind = entryUnwritten(words, base, index) ? RunKind.Unwritten : RunKind.Written;
      return;
    }
  }
  run.block = 0;
  run.length = bound - page;
  run.kind = RunKind.Hole;
}
