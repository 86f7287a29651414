/**
 * Who owns each block: a bit a block, set by whoever claims it first, in the form of the bitmaps that the store ought to
 * have.
 *
 * A group's bits exist once something in it is claimed; until then only the format's own blocks are taken in it. A second
 * claim of a block is a conflict; the first owner is not remembered, since that would cost a word a block, but found by
 * claiming everything again with `watch` set.
 */
import { initialiseBitmap, markUsed, nextUsed } from '../../format/bitmap.js';
import { type Geometry, groupLength, groupOf, groupStart, isFixedBlock } from '../../format/geometry.js';

export type OwnerKind = 'inode table' | 'name tree' | 'extent tree' | 'data' | 'repair';

export interface Owner {
  kind: OwnerKind;
  /** 0 for the name tree. */
  ino: number;
}

/** Blocks that two owners claim. */
export interface Conflict {
  start: number;
  length: number;
  second: Owner;
  /** Null where the format itself has the block, or the first owner is not known. */
  first: Owner | null;
}

export function describeOwner(owner: Owner | null): string {
  if (owner === null) return 'the format itself';
  if (owner.ino === 0) return `the ${owner.kind}`;
  if (owner.kind === 'inode table') return 'the inode table';
  return `the ${owner.kind} of inode ${owner.ino}`;
}

const CONFLICTS_MAX = 200;

export class Ownership {
  /** Bitmap blocks as they should be, by group. */
  private readonly groups = new Map<number, Uint32Array>();
  readonly conflicts: Conflict[] = [];
  conflictsOmitted = 0;
  /** Conflicts of an earlier run, whose first owners this run finds. */
  watch: Conflict[] | null = null;
  /** Runs of the last claim that were taken already: start, length, start, length, … */
  readonly lastConflicts: number[] = [];
  /** Groups up to here hold claimed blocks. */
  groupsUsed = 0;

  constructor(readonly geometry: Geometry) {}

  /** The bitmap block (its header zero) that the group should have. */
  group(group: number): Uint32Array {
    let words = this.groups.get(group);
    if (words === undefined) {
      words = new Uint32Array(this.geometry.blockBytes / 4);
      initialiseBitmap(words, 0, this.geometry, group);
      this.groups.set(group, words);
    }
    return words;
  }

  isTouched(group: number): boolean {
    return this.groups.has(group);
  }

  /** Takes a run of blocks on the device; false when part of it was taken already (see `lastConflicts`). */
  claim(start: number, length: number, kind: OwnerKind, ino: number): boolean {
    if (this.watch !== null) this.remember(start, length, kind, ino);
    this.lastConflicts.length = 0;
    for (let block = start, end = start + length; block < end; ) {
      const group = groupOf(this.geometry, block);
      const base = groupStart(this.geometry, group);
      const stop = Math.min(end, base + groupLength(this.geometry, group));
      const words = this.group(group);
      this.findConflicts(words, base, block, stop);
      markUsed(words, 0, block - base, stop - block);
      if (group >= this.groupsUsed) this.groupsUsed = group + 1;
      block = stop;
    }
    for (let i = 0; i < this.lastConflicts.length; i += 2) {
      this.report({
        start: this.lastConflicts[i],
        length: this.lastConflicts[i + 1],
        second: { kind, ino },
        first: null,
      });
    }
    return this.lastConflicts.length === 0;
  }

  /** A block that nobody has, now claimed for a repair, in the first `groups` groups; or 0. */
  take(groups: number): number {
    for (; this.takeGroup < groups; this.takeGroup++, this.takeBit = 0) {
      const length = groupLength(this.geometry, this.takeGroup);
      const words = this.group(this.takeGroup);
      for (let bit = this.takeBit; bit < length; bit++) {
        if (nextUsed(words, 0, bit, bit + 1) === bit) continue;
        markUsed(words, 0, bit, 1);
        this.takeBit = bit + 1;
        if (this.takeGroup >= this.groupsUsed) this.groupsUsed = this.takeGroup + 1;
        return groupStart(this.geometry, this.takeGroup) + bit;
      }
    }
    return 0;
  }

  private takeGroup = 0;
  private takeBit = 0;

  private findConflicts(words: Uint32Array, base: number, from: number, end: number): void {
    for (let bit = nextUsed(words, 0, from - base, end - base); bit < end - base; ) {
      let after = bit + 1;
      while (after < end - base && nextUsed(words, 0, after, after + 1) === after) after++;
      this.lastConflicts.push(base + bit, after - bit);
      bit = nextUsed(words, 0, after, end - base);
    }
  }

  private report(conflict: Conflict): void {
    if (this.conflicts.length < CONFLICTS_MAX) this.conflicts.push(conflict);
    else this.conflictsOmitted += 1;
  }

  private remember(start: number, length: number, kind: OwnerKind, ino: number): void {
    for (const conflict of this.watch!) {
      const isMet = conflict.start < start + length && start < conflict.start + conflict.length;
      if (isMet && conflict.first === null && !isFixedBlock(this.geometry, conflict.start)) {
        conflict.first = { kind, ino };
      }
    }
  }
}
