/**
 * A way from the root of an extent tree to a leaf: one pinned node per level, and the entry taken in each.
 *
 * Belongs to one task, for as long as it holds the inode's extent-map lock; `ExtentTree.seek` fills it in and
 * `ExtentTree.release` unpins its frames. The root (level index 0) lies in the inode's record, all others are blocks; both
 * look the same here: a word that holds level and count, and entries.
 */
import { ENTRY_WORDS, entryPage } from '../format/extent-node.js';
import type { Frame } from '../units.js';

export class Path {
  /** Index of the leaf: 0 when the root itself holds the extents. */
  depth = 0;
  readonly frames: Frame[] = [];
  /** The words of each node's segment, the word of its level and count, and the word of its first entry. */
  readonly words: Uint32Array[] = [];
  readonly heads: number[] = [];
  readonly bases: number[] = [];
  /** Entry taken in each node; in the leaf -1 when the page sought lies before the file's first extent. */
  readonly positions: number[] = [];
  /** Word of the inode's record in words[0]. */
  record = 0;

  get index(): number {
    return this.positions[this.depth];
  }

  count(level: number): number {
    return this.words[level][this.heads[level]] >>> 16;
  }

  /** Height of the node above the leaves, as the node itself says. */
  height(level: number): number {
    return this.words[level][this.heads[level]] & 0xffff;
  }

  setHead(level: number, height: number, count: number): void {
    this.words[level][this.heads[level]] = height | (count << 16);
  }

  setCount(level: number, count: number): void {
    this.setHead(level, this.height(level), count);
  }

  /** First page of the node. */
  firstPage(level: number): number {
    return entryPage(this.words[level], this.bases[level], 0);
  }

  /** First page of the extent after the leaf's last one; Infinity in the last leaf. */
  pageAfterLeaf(): number {
    for (let level = this.depth - 1; level >= 0; level--) {
      const next = this.positions[level] + 1;
      if (next < this.count(level)) return this.words[level][this.bases[level] + next * ENTRY_WORDS];
    }
    return Number.POSITIVE_INFINITY;
  }

  /** First page of the extent after the current one; Infinity for none. */
  nextPage(): number {
    const { depth } = this;
    const next = this.positions[depth] + 1;
    if (next < this.count(depth)) return this.words[depth][this.bases[depth] + next * ENTRY_WORDS];
    return this.pageAfterLeaf();
  }
}
