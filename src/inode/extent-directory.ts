/**
 * A thread's own copy of what the inner nodes of one file's extent tree say: where each leaf starts, and its block.
 *
 * A lookup that has it goes straight to the leaf: it spares the pins of the nodes above, which cost more than searching
 * them. Belongs to one thread's `ExtentMap`; used and made under the inode's extent-map lock, shared or exclusive.
 *
 *  1. It is good for one value of the inode's MapSequence, which every change of the map, and every new inode in the slot,
 *     counts up.
 *  2. It is made only once the lookups at that sequence would have paid for it: a file whose map keeps changing costs a
 *     counter, no more.
 */
import { copyEntries, ENTRY_WORDS } from '../format/extent-node.js';

/** Leaves of a tree that is copied; a copy takes 12 bytes for each. */
const LEAVES_MAX = 16_384;
/** Leaves that are copied in the time that one lookup spares. */
const LEAVES_PER_LOOKUP = 16;

export class ExtentDirectory {
  /** Entries of the tree's lowest inner nodes, one after the other. */
  entries = new Uint32Array(0);
  count = 0;
  private slot = -1;
  private sequence = 0;
  /** Lookups without the copy, at that slot and sequence. */
  private lookups = 0;
  private isMade = false;

  serves(slot: number, sequence: number): boolean {
    return this.isMade && this.slot === slot && this.sequence === sequence;
  }

  /** Counts a lookup in a tree of at most so many leaves; true when it is time to copy. */
  isDue(slot: number, sequence: number, leaves: number): boolean {
    if (this.slot !== slot || this.sequence !== sequence) {
      this.slot = slot;
      this.sequence = sequence;
      this.lookups = 0;
      this.isMade = false;
    }
    this.lookups++;
    return this.lookups * LEAVES_PER_LOOKUP >= leaves && leaves <= LEAVES_MAX;
  }

  /** Begins a copy of at most so many leaves. Should it not come to its `end`, the next one is as far off. */
  begin(leaves: number): void {
    this.count = 0;
    this.lookups = 0;
    if (this.entries.length < leaves * ENTRY_WORDS) this.entries = new Uint32Array(leaves * ENTRY_WORDS);
  }

  /** False when these are more than `begin` was told: the tree's count of its blocks is wrong. */
  add(words: Uint32Array, base: number, count: number): boolean {
    if ((this.count + count) * ENTRY_WORDS > this.entries.length) return false;
    copyEntries(words, base, 0, count, this.entries, 0, this.count);
    this.count += count;
    return true;
  }

  end(): void {
    this.isMade = true;
  }
}
