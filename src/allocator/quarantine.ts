/**
 * Quarantine: runs of blocks freed by transactions that are not durable yet, or about to be discarded. Neither reused nor
 * touched until then.
 *
 * 1. A group's chain changes under the group's mutex; its records come and go under the Exclusions leaf mutex too. So a
 *    search, which holds the first, reads the chain without the second, however long it is.
 * 2. Groups with a chain are on the list QuarantineGroups (Group.QuarantineNext is 0 off it, LAST or the next group + 2 on
 *    it), so that a release visits no other. The list changes under the leaf mutex. A release takes all of it, and puts
 *    back whom it leaves with a chain.
 * 3. BlocksQuarantined is the sum of all runs. It and BlocksFree change together under the leaf mutex: their sum is the
 *    clear bits of all bitmaps whenever no handle is open.
 *
 * `add` in a handle; `addFree` and a release by one thread at a time, which holds the Checkpoint mutex.
 */
import { markUsed } from '../format/bitmap.js';
import { reached } from '../journal/transaction-number.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { Exclusion, Group, Header } from '../sync/layout.js';
import { lockMutex, unlockMutex } from '../sync/mutex.js';
import type { ExclusionRecords } from './exclusion-records.js';

const LAST = 1;
/** Records of a chain that are looked at for one to extend. */
const COALESCE_PROBES = 16;

export interface BlockRange {
  start: number;
  length: number;
}

export class Quarantine {
  constructor(private readonly records: ExclusionRecords) {}

  /** Under the group's mutex, in a handle of `transaction`: blocks are in use no more. */
  add(task: Task, group: number, start: number, length: number, transaction: number): void {
    const { records } = this;
    const chain = records.groupAt(group) + Group.Quarantine;
    const isExtended = this.extend(chain, start, length, transaction);
    records.enter(task);
    try {
      if (!isExtended) records.push(chain, start, length, transaction);
      Atomics.add(records.words, Header.BlocksQuarantined, length);
      this.list(group);
    } finally {
      records.leave(task);
    }
  }

  /**
   * Under the group's mutex: free blocks that are about to be discarded, as if `transaction`, a durable one, had freed them.
   * False: no record is to be had.
   */
  addFree(task: Task, group: number, start: number, length: number, transaction: number): boolean {
    const { records } = this;
    records.enter(task);
    const isRoom = records.hasUnpromised();
    if (isRoom) {
      records.push(records.groupAt(group) + Group.Quarantine, start, length, transaction);
      Atomics.sub(records.words, Header.BlocksFree, length);
      Atomics.add(records.words, Header.BlocksQuarantined, length);
      this.list(group);
    }
    records.leave(task);
    return isRoom;
  }

  isEmpty(group: number): boolean {
    return Atomics.load(this.records.words, this.records.groupAt(group) + Group.Quarantine) === 0;
  }

  /** Under the group's mutex: marks its runs as used in a copy of its bitmap; answers how many blocks were marked already. */
  overlay(group: number, copy: Uint32Array, groupStart: number): number {
    const { records } = this;
    const { words, unsigned } = records;
    let overlap = 0;
    for (let record = words[records.groupAt(group) + Group.Quarantine]; record !== 0; ) {
      const at = records.at(record);
      overlap += markUsed(copy, 0, unsigned[at + Exclusion.Start] - groupStart, unsigned[at + Exclusion.Length]);
      record = words[at + Exclusion.Next];
    }
    return overlap;
  }

  /** Takes the list of groups with quarantined runs. */
  takeGroups(task: Task): number[] {
    const { records } = this;
    const { words } = records;
    const groups: number[] = [];
    records.enter(task);
    for (let next = words[Header.QuarantineGroups]; next > LAST; ) {
      const link = records.groupAt(next - 2) + Group.QuarantineNext;
      groups.push(next - 2);
      next = words[link];
      words[link] = 0;
    }
    words[Header.QuarantineGroups] = LAST;
    records.leave(task);
    return groups;
  }

  /** The group's runs that durable transactions freed: merged, in order of blocks. */
  *durableRanges(task: Task, group: number, durable: number): Routine<BlockRange[]> {
    const { records } = this;
    const { words, unsigned } = records;
    const ranges: BlockRange[] = [];
    yield* lockMutex(task, records.groupLock(group));
    for (let record = words[records.groupAt(group) + Group.Quarantine]; record !== 0; ) {
      const at = records.at(record);
      if (reached(durable, words[at + Exclusion.Transaction])) {
        ranges.push({ start: unsigned[at + Exclusion.Start], length: unsigned[at + Exclusion.Length] });
      }
      record = words[at + Exclusion.Next];
    }
    unlockMutex(task, records.groupLock(group));
    return mergeRanges(ranges);
  }

  /** Frees the group's runs of durable transactions; returns their blocks. */
  *release(task: Task, group: number, durable: number): Routine<number> {
    const { records } = this;
    yield* lockMutex(task, records.groupLock(group));
    try {
      return this.releaseLocked(task, group, durable);
    } finally {
      unlockMutex(task, records.groupLock(group));
    }
  }

  private releaseLocked(task: Task, group: number, durable: number): number {
    const { records } = this;
    const { words, unsigned } = records;
    let link = records.groupAt(group) + Group.Quarantine;
    let freed = 0;
    let freedTail = 0;
    let count = 0;
    let blocks = 0;
    while (words[link] !== 0) {
      const record = words[link];
      const at = records.at(record);
      if (!reached(durable, words[at + Exclusion.Transaction])) {
        link = at + Exclusion.Next;
        continue;
      }
      Atomics.store(words, link, words[at + Exclusion.Next]);
      words[at + Exclusion.Next] = freed;
      if (freed === 0) freedTail = at;
      freed = record;
      count += 1;
      blocks += unsigned[at + Exclusion.Length];
    }
    records.enter(task);
    const wakes = count > 0 && records.areClaimsStarved();
    if (count > 0) {
      records.giveBack(freed, freedTail, count);
      records.freed(group);
      Atomics.add(words, Header.BlocksFree, blocks);
      Atomics.sub(words, Header.BlocksQuarantined, blocks);
    }
    if (!this.isEmpty(group)) this.list(group);
    if (wakes) Atomics.add(words, Header.ExclusionWait, 1);
    records.leave(task);
    if (wakes) task.driver.wake(Header.ExclusionWait, Number.POSITIVE_INFINITY);
    return blocks;
  }

  /** Puts the group on the list, unless it is there. Under the leaf mutex. */
  private list(group: number): void {
    const { words } = this.records;
    const link = this.records.groupAt(group) + Group.QuarantineNext;
    if (words[link] !== 0) return;
    words[link] = Math.max(words[Header.QuarantineGroups], LAST);
    words[Header.QuarantineGroups] = group + 2;
  }

  /** Makes one of the chain's records longer instead of taking another, where that is quick to find. */
  private extend(chain: number, start: number, length: number, transaction: number): boolean {
    const { words, unsigned } = this.records;
    let record = words[chain];
    for (let probes = 0; record !== 0 && probes < COALESCE_PROBES; probes++) {
      const at = this.records.at(record);
      if (words[at + Exclusion.Transaction] === transaction) {
        const from = unsigned[at + Exclusion.Start];
        const end = from + unsigned[at + Exclusion.Length];
        if (end === start || start + length === from) {
          unsigned[at + Exclusion.Start] = Math.min(from, start);
          unsigned[at + Exclusion.Length] += length;
          return true;
        }
      }
      record = words[at + Exclusion.Next];
    }
    return false;
  }
}

/** Sorts the ranges and joins neighbours. */
function mergeRanges(ranges: BlockRange[]): BlockRange[] {
  ranges.sort((a, b) => a.start - b.start);
  const merged: BlockRange[] = [];
  for (const range of ranges) {
    const last = merged.at(-1);
    if (last !== undefined && last.start + last.length === range.start) last.length += range.length;
    else merged.push(range);
  }
  return merged;
}
