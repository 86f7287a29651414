/**
 * Walks one inode's extent tree: every node verified, every block claimed, extents in order.
 *
 * Damage below a node is a finding and the walk goes on beside it; a node that somebody owns already is not entered, so
 * that no damage leads in circles. Depth is bounded by the levels, which must fall by one a step.
 */
import { rootProblem } from '../../format/block-content.js';
import { BlockKind, headerGeneration } from '../../format/block-header.js';
import {
  entryBlock,
  entryEnd,
  entryLength,
  entryPage,
  entryUnwritten,
  extentNodeCount,
  NODE_ENTRIES_WORD,
  validateExtentNode,
} from '../../format/extent-node.js';
import { InodeAt, rootCount, rootEntriesWord, rootLevel } from '../../format/inode-record.js';
import type { BlockBuffer } from '../device-blocks.js';
import type { Findings } from './findings.js';
import type { OwnerKind, Ownership } from './ownership.js';
import type { StoreImage } from './store-image.js';

/** Sees every sound extent in order; the parts that somebody else owns are in `ownership.lastConflicts`. */
export interface ExtentVisitor {
  extent(page: number, block: number, length: number, unwritten: boolean): void;
}

export class ExtentWalk {
  dataBlocks = 0;
  treeBlocks = 0;
  extents = 0;
  /** First page after all extents, and after all written ones. */
  endPage = 0;
  writtenEnd = 0;
  /** Part of the tree is unusable, or owned by another. */
  isDamaged = false;
  private readonly buffers: BlockBuffer[] = [];
  private ino = 0;
  private generation = 0;
  private kind: OwnerKind = 'data';
  private visitor: ExtentVisitor | null = null;

  constructor(
    private readonly image: StoreImage,
    private readonly ownership: Ownership,
    private readonly findings: Findings,
  ) {}

  /** `record` at byte `at` of `buffer`, which stays untouched. The results are in the fields above. */
  walk(ino: number, kind: OwnerKind, buffer: BlockBuffer, at: number, visitor: ExtentVisitor | null = null): void {
    this.dataBlocks = 0;
    this.treeBlocks = 0;
    this.extents = 0;
    this.endPage = 0;
    this.writtenEnd = 0;
    this.isDamaged = false;
    this.ino = ino;
    this.generation = buffer.view.getUint32(at + InodeAt.Generation, true);
    this.kind = kind;
    this.visitor = visitor;
    const level = rootLevel(buffer.view, at);
    const count = rootCount(buffer.view, at);
    const base = rootEntriesWord(at);
    const wrong = rootProblem(buffer.words, buffer.view, at, this.image.superblock.blocks);
    if (wrong !== null) {
      this.isDamaged = true;
      this.findings.add('INODE_ROOT', `extent tree root of inode ${ino}: ${wrong}`, { ino });
      return;
    }
    this.entries(buffer, base, level, count, 0, 2 ** 32);
  }

  /** The entries of a node; all pages below them must lie in [low, high). */
  private entries(buffer: BlockBuffer, base: number, level: number, count: number, low: number, high: number): void {
    for (let i = 0; i < count; i++) {
      if (level === 0) {
        this.extent(buffer.words, base, i, low, high);
      } else {
        const from = Math.max(low, entryPage(buffer.words, base, i));
        const to = i + 1 < count ? entryPage(buffer.words, base, i + 1) : high;
        this.node(entryBlock(buffer.words, base, i), level - 1, from, to);
      }
    }
  }

  private node(block: number, level: number, low: number, high: number): void {
    if (!this.ownership.claim(block, 1, 'extent tree', this.ino)) {
      this.isDamaged = true;
      return;
    }
    this.buffers[level] ??= this.image.buffer();
    const buffer = this.buffers[level];
    if (!this.image.readMetadata(block, BlockKind.ExtentNode, this.ino, buffer, this.findings)) {
      this.isDamaged = true;
      return;
    }
    const { blockBytes, blocks } = this.image.superblock;
    const isOld = headerGeneration(buffer.view, 0) !== this.generation;
    const wrong = isOld
      ? 'of an earlier inode of that number'
      : validateExtentNode(buffer.words, 0, blockBytes, level, blocks);
    if (wrong !== null) {
      this.isDamaged = true;
      this.image.addDamage(block, BlockKind.ExtentNode, wrong, this.findings, this.ino);
      return;
    }
    this.treeBlocks += 1;
    this.entries(buffer, NODE_ENTRIES_WORD, level, extentNodeCount(buffer.words, 0), low, high);
  }

  private extent(words: Uint32Array, base: number, i: number, low: number, high: number): void {
    const page = entryPage(words, base, i);
    const end = entryEnd(words, base, i);
    if (page < low || end > high || page < this.endPage) {
      this.isDamaged = true;
      const message = `inode ${this.ino}: the extent of pages ${page} … ${end - 1} is out of order in its tree`;
      this.findings.add('EXTENT_NODE', message, { ino: this.ino });
      return;
    }
    const block = entryBlock(words, base, i);
    const length = entryLength(words, base, i);
    const unwritten = entryUnwritten(words, base, i);
    if (!this.ownership.claim(block, length, this.kind, this.ino)) this.isDamaged = true;
    this.extents += 1;
    this.dataBlocks += length;
    this.endPage = end;
    if (!unwritten) this.writtenEnd = end;
    this.visitor?.extent(page, block, length, unwritten);
  }
}
