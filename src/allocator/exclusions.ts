/**
 * Exclusions: blocks that the bitmaps call free but nobody may take. Claims are handed out and not yet in a transaction;
 * quarantined runs were freed by a transaction that is not durable yet. Also the counters of free blocks, which change
 * together with them.
 *
 * Records hang on two chains per group, claims and quarantine; groups with quarantined runs hang on a chain of their own,
 * so that a release visits no other. Any thread; everything happens under the Exclusions leaf mutex.
 *
 * 1. Whenever a group's mutex is free, the runs of its chains are disjoint, and every block in them is clear in its bitmap.
 * 2. BlocksQuarantined is the sum of the quarantined runs. BlocksFree + BlocksQuarantined is the clear bits of all bitmaps
 *    whenever no handle is open.
 * 3. Claims take at most a quarter of the records, and none that open handles were promised (one per credit), so that
 *    `quarantine` always finds one; where records are short, a commit brings back those of durable transactions.
 * 4. Whoever makes excluded blocks free again raises the group's Epoch and forgets its LongestPlusOne; a search that began
 *    before does not set it (`setLongest`).
 */
import { assert, unreachable } from '../assert.js';
import { markUsed } from '../format/bitmap.js';
import { CLAIM_SHARE } from '../journal/journal.js';
import { reached } from '../journal/transaction-number.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { Exclusion, GlobalLock, Group, Header, Journal } from '../sync/layout.js';
import { lockLeaf, unlockLeaf } from '../sync/leaf.js';

/** Records of a group that are looked at for one to extend. */
const COALESCE_PROBES = 16;

export interface BlockRange {
  start: number;
  length: number;
}

/** Puts all records on the free list. Called once, by the opening thread. */
export function initExclusions(arena: Arena): void {
  const { words, layout } = arena;
  for (let record = 0; record < layout.exclusions; record++) {
    words[layout.exclusionRecords + record * Exclusion.Words + Exclusion.Next] =
      record + 1 < layout.exclusions ? record + 2 : 0;
  }
  words[Header.ExclusionFree] = layout.exclusions > 0 ? 1 : 0;
  words[Header.ExclusionCount] = layout.exclusions;
}

export class Exclusions {
  private readonly words: Int32Array;
  private readonly unsigned: Uint32Array;
  private readonly lock: number;
  private readonly records: number;
  private readonly groups: number;
  private readonly credits: number;
  private readonly claimsMax: number;

  constructor(arena: Arena) {
    const { layout } = arena;
    this.words = arena.words;
    this.unsigned = arena.unsigned;
    this.lock = layout.locks + GlobalLock.Exclusions;
    this.records = layout.exclusionRecords;
    this.groups = layout.groupRecords;
    this.credits = layout.journal + Journal.Credits;
    this.claimsMax = Math.max(1, Math.floor(layout.exclusions / CLAIM_SHARE));
  }

  /** Under the group's mutex, for blocks that a search just found free. False: no record is to be had now. */
  claim(task: Task, group: number, start: number, length: number): boolean {
    const { words } = this;
    lockLeaf(task, this.lock);
    const promised = task.handleDepth > 0 ? 0 : Atomics.load(words, this.credits);
    const isRoom = words[Header.ExclusionClaims] < this.claimsMax && words[Header.ExclusionCount] > promised;
    if (isRoom) {
      this.push(this.groupAt(group) + Group.Claims, start, length, 0);
      words[Header.ExclusionClaims] += 1;
    }
    unlockLeaf(task, this.lock);
    return isRoom;
  }

  /** What to sleep on, and its value, for a claim that found no record: read it before trying. */
  get claimWait(): number {
    return Atomics.load(this.words, Header.ExclusionWait);
  }

  /** Claimed blocks are free again. */
  unclaim(task: Task, group: number, start: number, length: number): void {
    let wakes: boolean;
    lockLeaf(task, this.lock);
    try {
      wakes = this.removeClaim(group, start, length);
      this.freed(group);
    } finally {
      unlockLeaf(task, this.lock);
    }
    if (wakes) task.driver.wake(Header.ExclusionWait, 1);
  }

  /** Under the group's mutex, in a handle: claimed blocks are in use now, and that many promises kept. */
  publish(task: Task, group: number, start: number, length: number, reservedPages: number): void {
    let wakes: boolean;
    lockLeaf(task, this.lock);
    try {
      wakes = this.removeClaim(group, start, length);
      Atomics.sub(this.words, Header.BlocksFree, length);
      Atomics.sub(this.words, Header.BlocksReserved, reservedPages);
    } finally {
      unlockLeaf(task, this.lock);
    }
    if (wakes) task.driver.wake(Header.ExclusionWait, 1);
  }

  /** Under the group's mutex, in a handle of `transaction`: blocks are in use no more. */
  quarantine(task: Task, group: number, start: number, length: number, transaction: number): void {
    const { words } = this;
    const at = this.groupAt(group);
    lockLeaf(task, this.lock);
    try {
      const isFirst = words[at + Group.Quarantine] === 0;
      if (!this.extend(at + Group.Quarantine, start, length, transaction)) {
        this.push(at + Group.Quarantine, start, length, transaction);
      }
      if (isFirst) {
        words[at + Group.QuarantineNext] = words[Header.QuarantineGroups];
        words[Header.QuarantineGroups] = group + 1;
      }
      Atomics.add(words, Header.BlocksQuarantined, length);
    } finally {
      unlockLeaf(task, this.lock);
    }
  }

  /** The quarantined runs of durable transactions, merged, in order of blocks. */
  durableRanges(task: Task, durable: number): BlockRange[] {
    const ranges: BlockRange[] = [];
    const { words, unsigned } = this;
    lockLeaf(task, this.lock);
    for (let group = words[Header.QuarantineGroups]; group !== 0; ) {
      const at = this.groupAt(group - 1);
      for (
        let record = words[at + Group.Quarantine];
        record !== 0;
        record = words[this.recordAt(record) + Exclusion.Next]
      ) {
        const r = this.recordAt(record);
        if (!reached(durable, words[r + Exclusion.Transaction])) continue;
        ranges.push({ start: unsigned[r + Exclusion.Start], length: unsigned[r + Exclusion.Length] });
      }
      group = words[at + Group.QuarantineNext];
    }
    unlockLeaf(task, this.lock);
    return mergeRanges(ranges);
  }

  /** Frees the quarantined runs of durable transactions; returns their blocks. */
  release(task: Task, durable: number): number {
    const { words } = this;
    let released = 0;
    lockLeaf(task, this.lock);
    const wakes = this.areClaimsStarved();
    let link = Header.QuarantineGroups as number;
    for (let group = words[link]; group !== 0; group = words[link]) {
      const at = this.groupAt(group - 1);
      const blocks = this.releaseChain(at + Group.Quarantine, durable);
      if (blocks > 0) this.freed(group - 1);
      released += blocks;
      if (words[at + Group.Quarantine] === 0) words[link] = words[at + Group.QuarantineNext];
      else link = at + Group.QuarantineNext;
    }
    Atomics.add(words, Header.BlocksFree, released);
    Atomics.sub(words, Header.BlocksQuarantined, released);
    if (wakes) Atomics.add(words, Header.ExclusionWait, 1);
    unlockLeaf(task, this.lock);
    if (wakes) task.driver.wake(Header.ExclusionWait, Number.POSITIVE_INFINITY);
    return released;
  }

  /** Whether a search of the group must look at a copy of its bitmap. Under the group's mutex, or as a guess. */
  isOverlaid(group: number): boolean {
    const at = this.groupAt(group);
    return Atomics.load(this.words, at + Group.Claims) !== 0 || Atomics.load(this.words, at + Group.Quarantine) !== 0;
  }

  /** Marks the group's excluded blocks as used in a copy of its bitmap. */
  overlay(task: Task, group: number, copy: Uint32Array, groupStart: number): void {
    const { words } = this;
    const at = this.groupAt(group);
    let overlap = 0;
    lockLeaf(task, this.lock);
    for (const chain of [at + Group.Claims, at + Group.Quarantine]) {
      for (let record = words[chain]; record !== 0; record = words[this.recordAt(record) + Exclusion.Next]) {
        const r = this.recordAt(record);
        overlap += markUsed(
          copy,
          0,
          this.unsigned[r + Exclusion.Start] - groupStart,
          this.unsigned[r + Exclusion.Length],
        );
      }
    }
    unlockLeaf(task, this.lock);
    assert(overlap === 0, `group ${group}: ${overlap} excluded blocks are in use, or excluded twice`);
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
    lockLeaf(task, this.lock);
    if (this.words[at + Group.Epoch] === epoch) Atomics.store(this.words, at + Group.LongestPlusOne, longest + 1);
    unlockLeaf(task, this.lock);
  }

  /** Free and promised blocks, together. */
  counters(task: Task, out: { free: number; reserved: number; quarantined: number }): void {
    lockLeaf(task, this.lock);
    out.free = this.unsigned[Header.BlocksFree];
    out.reserved = this.unsigned[Header.BlocksReserved];
    out.quarantined = this.unsigned[Header.BlocksQuarantined];
    unlockLeaf(task, this.lock);
  }

  private freed(group: number): void {
    const at = this.groupAt(group);
    Atomics.add(this.words, at + Group.Epoch, 1);
    Atomics.store(this.words, at + Group.LongestPlusOne, 0);
  }

  /** Takes blocks out of the claim that holds them, which may leave a rest on either side. True: wake who waits to claim. */
  private removeClaim(group: number, start: number, length: number): boolean {
    const { words, unsigned } = this;
    const wakes = this.areClaimsStarved();
    let link = this.groupAt(group) + Group.Claims;
    while (words[link] !== 0) {
      const r = this.recordAt(words[link]);
      const from = unsigned[r + Exclusion.Start];
      const end = from + unsigned[r + Exclusion.Length];
      if (start >= from && start + length <= end) {
        this.cut(link, r, start, start + length, from, end);
        if (wakes) Atomics.add(words, Header.ExclusionWait, 1);
        return wakes;
      }
      link = r + Exclusion.Next;
    }
    return unreachable(`blocks ${start}+${length} are not claimed`);
  }

  private cut(link: number, r: number, start: number, stop: number, from: number, end: number): void {
    const { words, unsigned } = this;
    if (start === from && stop === end) {
      this.pop(link);
      words[Header.ExclusionClaims] -= 1;
      return;
    }
    if (start === from) unsigned[r + Exclusion.Start] = stop;
    unsigned[r + Exclusion.Length] = start === from ? end - stop : start - from;
    if (start === from || stop === end) return;
    this.push(r + Exclusion.Next, stop, end - stop, 0);
    words[Header.ExclusionClaims] += 1;
  }

  private areClaimsStarved(): boolean {
    const { words } = this;
    return (
      words[Header.ExclusionClaims] >= this.claimsMax ||
      words[Header.ExclusionCount] <= Atomics.load(words, this.credits)
    );
  }

  private extend(chain: number, start: number, length: number, transaction: number): boolean {
    const { words, unsigned } = this;
    let record = words[chain];
    for (let probes = 0; record !== 0 && probes < COALESCE_PROBES; probes++) {
      const r = this.recordAt(record);
      if (words[r + Exclusion.Transaction] === transaction) {
        const from = unsigned[r + Exclusion.Start];
        const end = from + unsigned[r + Exclusion.Length];
        if (end === start || start + length === from) {
          unsigned[r + Exclusion.Start] = Math.min(from, start);
          unsigned[r + Exclusion.Length] += length;
          return true;
        }
      }
      record = words[r + Exclusion.Next];
    }
    return false;
  }

  private releaseChain(chain: number, durable: number): number {
    const { words, unsigned } = this;
    let blocks = 0;
    let link = chain;
    while (words[link] !== 0) {
      const r = this.recordAt(words[link]);
      if (!reached(durable, words[r + Exclusion.Transaction])) {
        link = r + Exclusion.Next;
        continue;
      }
      blocks += unsigned[r + Exclusion.Length];
      this.pop(link);
    }
    return blocks;
  }

  /** Puts a record from the free list at `link`. */
  private push(link: number, start: number, length: number, transaction: number): void {
    const { words, unsigned } = this;
    const record = words[Header.ExclusionFree];
    assert(record !== 0, 'no exclusion record is left; a handle freed more runs than it has credits');
    const r = this.recordAt(record);
    words[Header.ExclusionFree] = words[r + Exclusion.Next];
    Atomics.sub(words, Header.ExclusionCount, 1);
    unsigned[r + Exclusion.Start] = start;
    unsigned[r + Exclusion.Length] = length;
    words[r + Exclusion.Transaction] = transaction;
    words[r + Exclusion.Next] = words[link];
    Atomics.store(words, link, record);
  }

  /** Gives the record at `link` back to the free list. */
  private pop(link: number): void {
    const { words } = this;
    const record = words[link];
    const r = this.recordAt(record);
    Atomics.store(words, link, words[r + Exclusion.Next]);
    words[r + Exclusion.Next] = words[Header.ExclusionFree];
    words[Header.ExclusionFree] = record;
    Atomics.add(words, Header.ExclusionCount, 1);
  }

  /** `record` is as chains hold it, + 1. */
  private recordAt(record: number): number {
    return this.records + (record - 1) * Exclusion.Words;
  }

  private groupAt(group: number): number {
    return this.groups + group * Group.Words;
  }
}

/** Sorts the ranges and joins neighbours. */
export function mergeRanges(ranges: BlockRange[]): BlockRange[] {
  ranges.sort((a, b) => a.start - b.start);
  const merged: BlockRange[] = [];
  for (const range of ranges) {
    const last = merged.at(-1);
    if (last !== undefined && last.start + last.length === range.start) last.length += range.length;
    else merged.push(range);
  }
  return merged;
}
