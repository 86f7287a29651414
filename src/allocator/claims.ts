/**
 * Claims: runs of blocks handed out and not in a transaction yet. Their chains are short: a claim lives as long as the
 * write of its data.
 *
 * Any thread; everything under the Exclusions leaf mutex. `publish` changes BlocksFree and BlocksReserved together.
 *
 * No wake-up is lost: who finds no record has read ExclusionWait before; who gives a record back while claims are starved
 * increments it under the leaf mutex, and then wakes.
 */
import { unreachable } from '../assert.js';
import { markUsed } from '../format/bitmap.js';
import type { Task } from '../routine/task.js';
import { Exclusion, Group, Header } from '../sync/layout.js';
import type { ExclusionRecords } from './exclusion-records.js';

export class Claims {
  constructor(private readonly records: ExclusionRecords) {}

  /** Under the group's mutex, for blocks that a search just found free. False: no record is to be had now. */
  add(task: Task, group: number, start: number, length: number): boolean {
    const { records } = this;
    records.enter(task);
    const isRoom = records.mayClaim(task);
    if (isRoom) {
      records.push(records.groupAt(group) + Group.Claims, start, length, 0);
      Atomics.add(records.words, Header.ExclusionClaims, 1);
    }
    records.leave(task);
    return isRoom;
  }

  /** What to sleep on, and its value, where `add` finds no record: read it before trying. */
  get waitSequence(): number {
    return Atomics.load(this.records.words, Header.ExclusionWait);
  }

  /** Claimed blocks are free again. */
  unclaim(task: Task, group: number, start: number, length: number): void {
    const { records } = this;
    let wakes: boolean;
    records.enter(task);
    try {
      wakes = this.remove(group, start, length);
      records.freed(group);
    } finally {
      records.leave(task);
    }
    if (wakes) task.driver.wake(Header.ExclusionWait, 1);
  }

  /** Under the group's mutex, in a handle: claimed blocks are in use now, and that many promises kept. */
  publish(task: Task, group: number, start: number, length: number, reservedPages: number): void {
    const { records } = this;
    let wakes: boolean;
    records.enter(task);
    try {
      wakes = this.remove(group, start, length);
      Atomics.sub(records.words, Header.BlocksFree, length);
      Atomics.sub(records.words, Header.BlocksReserved, reservedPages);
    } finally {
      records.leave(task);
    }
    if (wakes) task.driver.wake(Header.ExclusionWait, 1);
  }

  isEmpty(group: number): boolean {
    return Atomics.load(this.records.words, this.records.groupAt(group) + Group.Claims) === 0;
  }

  /** Marks the group's claims as used in a copy of its bitmap; answers how many blocks were marked already. */
  overlay(task: Task, group: number, copy: Uint32Array, groupStart: number): number {
    const { records } = this;
    const { words, unsigned } = records;
    let overlap = 0;
    records.enter(task);
    for (let record = words[records.groupAt(group) + Group.Claims]; record !== 0; ) {
      const at = records.at(record);
      overlap += markUsed(copy, 0, unsigned[at + Exclusion.Start] - groupStart, unsigned[at + Exclusion.Length]);
      record = words[at + Exclusion.Next];
    }
    records.leave(task);
    return overlap;
  }

  /** Takes blocks out of the claim that holds them, which may leave a rest on either side. True: wake who waits. */
  private remove(group: number, start: number, length: number): boolean {
    const { records } = this;
    const { words, unsigned } = records;
    const wakes = records.areClaimsStarved();
    let link = records.groupAt(group) + Group.Claims;
    while (words[link] !== 0) {
      const at = records.at(words[link]);
      const from = unsigned[at + Exclusion.Start];
      const end = from + unsigned[at + Exclusion.Length];
      if (start >= from && start + length <= end) {
        this.cut(link, at, start, start + length, from, end);
        if (wakes) Atomics.add(words, Header.ExclusionWait, 1);
        return wakes;
      }
      link = at + Exclusion.Next;
    }
    return unreachable(`blocks ${start}+${length} are not claimed`);
  }

  /** Takes [start, stop) out of the claim [from, end) at `link`. */
  private cut(link: number, at: number, start: number, stop: number, from: number, end: number): void {
    const { records } = this;
    const { words, unsigned } = records;
    if (start === from && stop === end) {
      records.pop(link);
      Atomics.sub(words, Header.ExclusionClaims, 1);
      return;
    }
    if (start === from) unsigned[at + Exclusion.Start] = stop;
    unsigned[at + Exclusion.Length] = start === from ? end - stop : start - from;
    if (start === from || stop === end) return;
    records.push(at + Exclusion.Next, stop, end - stop, 0);
    Atomics.add(words, Header.ExclusionClaims, 1);
  }
}
