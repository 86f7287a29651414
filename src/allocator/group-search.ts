/**
 * Finding free blocks among the allocation groups, and taking them: as a claim, or as a metadata block at once.
 *
 * Order of the groups: the goal's; then, for the whole request and without waiting for a lock, groups from a place that
 * depends on the thread, so that threads spread; then a group that was never used; then any group with anything. Hints
 * (free blocks and longest run of a group) skip the full ones. Any thread.
 *
 * 1. Under a group's mutex nothing waits: its bitmap's page is pinned before. So a holder is gone within microseconds.
 * 2. Groups below GroupsInitialised have a bitmap block; the next group gets its own in a transaction (`grow`, under the
 *    Growth mutex). Nobody looks at a group before GroupsInitialised says so.
 *
 * Locks: Growth, then AllocatorGroup, one at a time; the Exclusions leaf mutex inside.
 */
import { assert } from '../assert.js';
import { countFree, initialiseBitmap, markUsed } from '../format/bitmap.js';
import { BlockKind } from '../format/block-header.js';
import { bitmapBlock, fixedBlocksOf, type Geometry, groupLength, groupOf, groupStart } from '../format/geometry.js';
import type { Journal } from '../journal/journal.js';
import type { Metadata } from '../journal/metadata.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { GlobalLock, Group, Header } from '../sync/layout.js';
import { lockMutex, tryLockMutex, unlockMutex } from '../sync/mutex.js';
import { Count, count } from '../sync/statistics.js';
import type { Frame } from '../units.js';
import { BestFit } from './best-fit.js';
import type { Claims } from './claims.js';
import type { ExclusionRecords } from './exclusion-records.js';
import type { Quarantine } from './quarantine.js';

/** Bitmaps that one request reads from the device in the hope of a whole run, before it takes what it can get. */
const UNREAD_MAX = 16;
/** So many groups are put to use before goals are folded into those in use. */
const PARALLEL_GROUPS = 8;

/** What becomes of the blocks found. */
export const enum Take {
  Claim,
  /** Bits set at once; inside a handle. */
  Metadata,
}

export const enum Found {
  Nothing,
  Taken,
  /** There are blocks, but no exclusion record for a claim. */
  NoRecord,
}

/** Which runs a group may give. */
const enum Fit {
  Whole,
  /** The whole request, or part of it if that continues what lies before the goal. */
  WholeOrAtGoal,
  Any,
}

/** What is asked for, and where the answer goes. */
interface Wanted {
  readonly take: Take;
  readonly blocks: number;
  readonly run: ClaimedRun;
}

/** A run of blocks, reused by its owner. */
export class ClaimedRun {
  start = 0;
  length = 0;
}

export class GroupSearch {
  private readonly words: Int32Array;
  private readonly found = new BestFit();
  /** A group's bitmap overlaid with its exclusions. */
  private readonly scratch: Uint32Array;

  constructor(
    private readonly arena: Arena,
    private readonly journal: Journal,
    private readonly metadata: Metadata,
    private readonly records: ExclusionRecords,
    private readonly claims: Claims,
    private readonly quarantine: Quarantine,
    readonly geometry: Geometry,
  ) {
    this.words = arena.words;
    this.scratch = new Uint32Array(geometry.blockBytes / 4);
  }

  /** Takes up to `length` blocks near `goal` into `run`. */
  *take(task: Task, goal: number, length: number, take: Take, run: ClaimedRun): Routine<Found> {
    const goalGroup = groupOf(this.geometry, goal);
    const goalBit = goal - groupStart(this.geometry, goalGroup);
    const wanted: Wanted = { take, blocks: Math.min(length, this.geometry.blocksPerGroup - 1), run };
    const home = yield* this.homeOf(task, goalGroup, take);
    let found = yield* this.takeIn(task, home, goalBit, Fit.WholeOrAtGoal, wanted, true);
    if (found === Found.Nothing) found = yield* this.takeWhole(task, home, wanted);
    if (found === Found.Nothing) found = yield* this.takeInNewGroup(task, wanted);
    if (found === Found.Nothing) found = yield* this.takeAny(task, home, wanted);
    return found;
  }

  /** The bitmap's page, pinned. */
  *bitmap(task: Task, group: number): Routine<Frame> {
    const block = bitmapBlock(this.geometry, group);
    const frame = this.metadata.tryGet(task, block, BlockKind.Bitmap);
    return frame !== 0 ? frame : yield* this.metadata.get(task, block, BlockKind.Bitmap);
  }

  /** The bitmap's words, its header first. */
  bitmapWords(frame: Frame): Uint32Array {
    const { frames } = this.journal.cache;
    const from = frames.word(frame);
    return frames.words(frame).subarray(from, from + this.geometry.blockBytes / 4);
  }

  /** Under the group's mutex: its clear bits changed by `blocks`. */
  addFree(group: number, blocks: number): void {
    const at = this.records.groupAt(group) + Group.FreePlusOne;
    if (this.words[at] !== 0) Atomics.add(this.words, at, blocks);
  }

  /** The group that stands for the goal's: itself where it is in use. */
  private *homeOf(task: Task, goalGroup: number, take: Take): Routine<number> {
    const initialised = this.initialised;
    if (goalGroup < initialised) return goalGroup;
    const grows = take === Take.Claim && initialised < PARALLEL_GROUPS;
    if (grows && (yield* this.grow(task, initialised))) return initialised;
    return goalGroup % initialised;
  }

  private *takeWhole(task: Task, home: number, wanted: Wanted): Routine<Found> {
    const initialised = this.initialised;
    const first = home + 1 + Math.floor((initialised * task.thread) / this.arena.layout.threads);
    let unread = 0;
    for (let i = 0; i < initialised; i++) {
      const group = (first + i) % initialised;
      if (group === home || !this.mayHold(group, wanted.blocks)) continue;
      if (this.isUnread(group)) {
        if (unread === UNREAD_MAX) continue;
        unread += 1;
      }
      const found = yield* this.takeIn(task, group, 0, Fit.Whole, wanted, false);
      if (found !== Found.Nothing) return found;
    }
    return Found.Nothing;
  }

  private *takeInNewGroup(task: Task, wanted: Wanted): Routine<Found> {
    const group = this.initialised;
    if (!(yield* this.grow(task, group))) return Found.Nothing;
    return yield* this.takeIn(task, group, 0, Fit.Any, wanted, true);
  }

  private *takeAny(task: Task, home: number, wanted: Wanted): Routine<Found> {
    const initialised = this.initialised;
    for (let i = -1; i < initialised; i++) {
      const group = i < 0 ? this.roomiest() : (home + i) % initialised;
      const found = yield* this.takeIn(task, group, 0, Fit.Any, wanted, true);
      if (found !== Found.Nothing) return found;
    }
    return Found.Nothing;
  }

  private *takeIn(
    task: Task,
    group: number,
    goalBit: number,
    fit: Fit,
    wanted: Wanted,
    waits: boolean,
  ): Routine<Found> {
    if (!this.mayHold(group, fit === Fit.Whole ? wanted.blocks : 1)) return Found.Nothing;
    const frame = yield* this.bitmap(task, group);
    const lock = this.records.groupLock(group);
    try {
      if ((waits && task.yieldsAtLocks) || !tryLockMutex(task, lock)) {
        if (!waits) return Found.Nothing;
        yield* lockMutex(task, lock);
      }
      try {
        return this.takeLocked(task, group, frame, goalBit, fit, wanted);
      } finally {
        unlockMutex(task, lock);
      }
    } finally {
      this.metadata.put(frame);
    }
  }

  /** Under the group's mutex. */
  private takeLocked(task: Task, group: number, frame: Frame, goalBit: number, fit: Fit, wanted: Wanted): Found {
    const bitmap = this.bitmapWords(frame);
    const { found } = this;
    this.search(task, group, bitmap, goalBit, wanted.blocks);
    if (found.length === 0 || !fits(found, goalBit, fit, wanted.blocks)) return Found.Nothing;
    const start = groupStart(this.geometry, group) + found.start;
    if (wanted.take === Take.Claim) {
      if (!this.claims.add(task, group, start, found.length)) return Found.NoRecord;
    } else {
      const wrong = markUsed(bitmap, 0, found.start, found.length);
      assert(wrong === 0, `group ${group}: the search found blocks in use`);
      this.journal.dirty(task, frame);
      this.addFree(group, -found.length);
      Atomics.sub(this.words, Header.BlocksFree, found.length);
    }
    wanted.run.start = start;
    wanted.run.length = found.length;
    return Found.Taken;
  }

  /** Under the group's mutex: the best run into `found`, and what the search learnt into the hints. */
  private search(task: Task, group: number, bitmap: Uint32Array, goalBit: number, want: number): void {
    const { records, words } = this;
    count(task, Count.AllocatorSearches);
    const length = groupLength(this.geometry, group);
    const at = this.records.groupAt(group);
    if (words[at + Group.FreePlusOne] === 0)
      Atomics.store(words, at + Group.FreePlusOne, countFree(bitmap, 0, length) + 1);
    const epoch = records.epoch(group);
    this.found.find(this.overlaid(task, group, bitmap), 0, length, want, goalBit);
    if (this.found.longest >= 0) records.setLongest(task, group, epoch, this.found.longest);
  }

  /** Under the group's mutex: its bitmap with its exclusions marked as used; a copy where there are any. */
  overlaid(task: Task, group: number, bitmap: Uint32Array): Uint32Array {
    const { claims, quarantine, scratch } = this;
    if (claims.isEmpty(group) && quarantine.isEmpty(group)) return bitmap;
    const start = groupStart(this.geometry, group);
    scratch.set(bitmap);
    const overlap = claims.overlay(task, group, scratch, start) + quarantine.overlay(group, scratch, start);
    assert(overlap === 0, `group ${group}: ${overlap} excluded blocks are in use, or excluded twice`);
    return scratch;
  }

  /** Gives group `expected` its bitmap, if it is the next one without. False: there is no such group. */
  private *grow(task: Task, expected: number): Routine<boolean> {
    const { geometry, words, arena } = this;
    if (expected >= geometry.groups) return false;
    const growth = arena.layout.locks + GlobalLock.Growth;
    yield* this.journal.begin(task, 1);
    try {
      yield* lockMutex(task, growth);
      try {
        if (this.initialised === expected) {
          const block = bitmapBlock(geometry, expected);
          const frame = yield* this.metadata.create(task, block, BlockKind.Bitmap, expected);
          initialiseBitmap(this.bitmapWords(frame), 0, geometry, expected);
          this.metadata.put(frame);
          const free = groupLength(geometry, expected) - fixedBlocksOf(geometry, expected);
          Atomics.store(words, this.records.groupAt(expected) + Group.FreePlusOne, free + 1);
          Atomics.store(words, Header.GroupsInitialised, expected + 1);
        }
      } finally {
        unlockMutex(task, growth);
      }
    } finally {
      this.journal.end(task);
    }
    return true;
  }

  /** Among the groups whose longest run is known, the one with the longest; or the first group. */
  private roomiest(): number {
    let best = 0;
    let longest = -1;
    for (let group = 0; group < this.initialised; group++) {
      const known = this.records.longest(group);
      if (known === Number.POSITIVE_INFINITY || known <= longest) continue;
      longest = known;
      best = group;
    }
    return best;
  }

  private mayHold(group: number, blocks: number): boolean {
    const freePlusOne = Atomics.load(this.words, this.records.groupAt(group) + Group.FreePlusOne);
    if (freePlusOne !== 0 && freePlusOne - 1 < blocks) return false;
    return this.records.longest(group) >= blocks;
  }

  private isUnread(group: number): boolean {
    return Atomics.load(this.words, this.records.groupAt(group) + Group.FreePlusOne) === 0;
  }

  /** Groups that have a bitmap. */
  get initialised(): number {
    return Atomics.load(this.words, Header.GroupsInitialised);
  }
}

function fits(found: BestFit, goalBit: number, fit: Fit, blocks: number): boolean {
  if (fit === Fit.Any || found.length >= blocks) return true;
  return fit === Fit.WholeOrAtGoal && found.start === goalBit;
}
