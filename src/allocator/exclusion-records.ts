/**
 * The records of excluded blocks, which the bitmaps call free but nobody may take, and what is known of a group's free
 * runs. Two chains of records hang on each group: claims (claims.ts) and quarantine (quarantine.ts).
 *
 * Any thread, under the Exclusions leaf mutex where it says so.
 *
 * 1. Whenever a group's mutex is free, the runs of its chains are disjoint, and every block in them is clear in its bitmap.
 * 2. Claims take at most a quarter of the records, and none that open handles were promised (one per credit), so that
 *    what a handle frees always finds one; where records are short, a commit brings back those of durable transactions.
 * 3. Whoever makes excluded blocks free again raises the group's Epoch and forgets its LongestPlusOne; a search that began
 *    before does not set it. So LongestPlusOne never hides a run.
 */
import { assert } from '../assert.js';
import { CLAIM_SHARE } from '../journal/journal.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { Exclusion, GlobalLock, GROUP_LOCKS, Group, Header, Journal, Mutex } from '../sync/layout.js';
import { lockLeaf, unlockLeaf } from '../sync/leaf.js';

/** Puts all records on the free list. Called once, by the opening thread. */
export function initExclusions(arena: Arena): void {
  const { words, layout } = arena;
  const { exclusions, exclusionRecords } = layout;
  for (let record = 1; record <= exclusions; record++) {
    const at = exclusionRecords + (record - 1) * Exclusion.Words;
    words[at + Exclusion.Next] = record < exclusions ? record + 1 : 0;
  }
  words[Header.ExclusionFree] = exclusions > 0 ? 1 : 0;
  words[Header.ExclusionCount] = exclusions;
}

export class ExclusionRecords {
  readonly words: Int32Array;
  readonly unsigned: Uint32Array;
  private readonly lock: number;
  private readonly records: number;
  private readonly groups: number;
  private readonly groupLocks: number;
  private readonly credits: number;
  private readonly total: number;
  private readonly claimsMax: number;

  constructor(arena: Arena) {
    const { layout } = arena;
    this.words = arena.words;
    this.unsigned = arena.unsigned;
    this.lock = layout.locks + GlobalLock.Exclusions;
    this.records = layout.exclusionRecords;
    this.groups = layout.groupRecords;
    this.groupLocks = layout.locks + GlobalLock.Groups;
    this.credits = layout.journal + Journal.Credits;
    this.total = layout.exclusions;
    this.claimsMax = Math.max(1, Math.floor(layout.exclusions / CLAIM_SHARE));
  }

  enter(task: Task): void {
    lockLeaf(task, this.lock);
  }

  leave(task: Task): void {
    unlockLeaf(task, this.lock);
  }

  /** Word offset of a record; `record` is as chains hold it, from 1. */
  at(record: number): number {
    return this.records + (record - 1) * Exclusion.Words;
  }

  /** Word offset of a group's record. */
  groupAt(group: number): number {
    return this.groups + group * Group.Words;
  }

  /** The group's mutex. */
  groupLock(group: number): number {
    return this.groupLocks + (group % GROUP_LOCKS) * Mutex.Words;
  }

  /** Whether a claim may have a record. Under the leaf mutex. Inside a handle it takes one of the handle's own. */
  mayClaim(task: Task): boolean {
    if (this.words[Header.ExclusionClaims] >= this.claimsMax) return false;
    const promised = task.handleDepth > 0 ? 0 : Atomics.load(this.words, this.credits);
    return this.words[Header.ExclusionCount] > promised;
  }

  /** Whether there is a record that no open handle was promised. Under the leaf mutex. */
  hasUnpromised(): boolean {
    return this.words[Header.ExclusionCount] > Atomics.load(this.words, this.credits);
  }

  /** Whether claimers may be waiting for records. Under the leaf mutex, before a record is given back. */
  areClaimsStarved(): boolean {
    const { words } = this;
    if (words[Header.ExclusionClaims] >= this.claimsMax) return true;
    return words[Header.ExclusionCount] <= Atomics.load(words, this.credits);
  }

  /** Records that hold quarantined runs, about. */
  get quarantined(): number {
    return (
      this.total - Atomics.load(this.words, Header.ExclusionCount) - Atomics.load(this.words, Header.ExclusionClaims)
    );
  }

  /** Puts a record from the free list at `link`. Under the leaf mutex. */
  push(link: number, start: number, length: number, transaction: number): void {
    const { words, unsigned } = this;
    const record = words[Header.ExclusionFree];
    assert(record !== 0, 'no exclusion record is left; a handle freed more runs than it has credits');
    const at = this.at(record);
    words[Header.ExclusionFree] = words[at + Exclusion.Next];
    Atomics.sub(words, Header.ExclusionCount, 1);
    unsigned[at + Exclusion.Start] = start;
    unsigned[at + Exclusion.Length] = length;
    words[at + Exclusion.Transaction] = transaction;
    words[at + Exclusion.Next] = words[link];
    Atomics.store(words, link, record);
  }

  /** Gives the record at `link` back to the free list. Under the leaf mutex. */
  pop(link: number): void {
    const { words } = this;
    const record = words[link];
    const at = this.at(record);
    Atomics.store(words, link, words[at + Exclusion.Next]);
    this.giveBack(record, at, 1);
  }

  /** Gives back `count` records chained from `head` to the one at offset `tailAt`. Under the leaf mutex. */
  giveBack(head: number, tailAt: number, count: number): void {
    const { words } = this;
    words[tailAt + Exclusion.Next] = words[Header.ExclusionFree];
    words[Header.ExclusionFree] = head;
    Atomics.add(words, Header.ExclusionCount, count);
  }

  /** Excluded blocks of the group are free again. Under the leaf mutex. */
  freed(group: number): void {
    const at = this.groupAt(group);
    Atomics.add(this.words, at + Group.Epoch, 1);
    Atomics.store(this.words, at + Group.LongestPlusOne, 0);
  }

  epoch(group: number): number {
    return Atomics.load(this.words, this.groupAt(group) + Group.Epoch);
  }

  /** Upper bound of what a search of the group can find; Infinity where nothing is known. */
  longest(group: number): number {
    const plusOne = Atomics.load(this.words, this.groupAt(group) + Group.LongestPlusOne);
    return plusOne === 0 ? Number.POSITIVE_INFINITY : plusOne - 1;
  }

  /** What a search found that began at `epoch`. */
  setLongest(task: Task, group: number, epoch: number, longest: number): void {
    const at = this.groupAt(group);
    this.enter(task);
    if (this.words[at + Group.Epoch] === epoch) Atomics.store(this.words, at + Group.LongestPlusOne, longest + 1);
    this.leave(task);
  }
}
