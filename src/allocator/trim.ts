/**
 * Discarding later what was freed in small pieces.
 *
 * A discard takes the host longer than the rest of a commit, and makes it allocate again what is written there next; and
 * blocks freed in small pieces are often taken again at once. So runs shorter than Header.DiscardLater are released as they
 * are, and each group remembers between which of its blocks they lie: its hull. A round takes the hulls, one after the other,
 * and discards what is free in them then. The background thread does a round every few seconds, closing does the last.
 *
 * 1. A hull covers every run released undiscarded since it was last taken. It changes under the Exclusions leaf mutex. What
 *    was free in it before is discarded again.
 * 2. Blocks are in quarantine while they are discarded, as freed by a durable transaction: nobody has them, and who finds no
 *    other ones waits for them, as for those that a commit will release.
 * 3. A batch leaves most of the space that nobody was promised, and the exclusion records that open handles were.
 *
 * `note` and `exclude` under the Checkpoint mutex; the round is its thread's own.
 */
import { nextFree, nextUsed } from '../format/bitmap.js';
import { type Geometry, groupStart } from '../format/geometry.js';
import type { Metadata } from '../journal/metadata.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { Group } from '../sync/layout.js';
import { lockMutex, unlockMutex } from '../sync/mutex.js';
import type { ExclusionRecords } from './exclusion-records.js';
import type { GroupSearch } from './group-search.js';
import type { BlockRange, Quarantine } from './quarantine.js';
import type { Space } from './space.js';

/** Runs of one batch: others may wait for the Checkpoint mutex meanwhile. */
const BATCH_RUNS = 16;
/** A batch takes at most one part in so many of the space that nobody was promised. */
const SPACE_SHARE = 4;

export class Trim {
  /** The group whose hull is being worked through, and what is left of it, in bits of the group. */
  private group = -1;
  private at = 0;
  private end = 0;

  constructor(
    private readonly records: ExclusionRecords,
    private readonly quarantine: Quarantine,
    private readonly groups: GroupSearch,
    private readonly space: Space,
    private readonly metadata: Metadata,
    private readonly geometry: Geometry,
  ) {}

  /** A run of the group is about to be released undiscarded. */
  note(task: Task, group: number, { start, length }: BlockRange): void {
    const first = start - groupStart(this.geometry, group);
    this.extendHull(task, group, first, first + length);
  }

  /** The next round starts with the first group. */
  begin(): void {
    this.group = -1;
    this.at = this.end = 0;
  }

  /** The group that the round has come to, or -1: it is over. */
  next(task: Task): number {
    while (this.at >= this.end) {
      this.group += 1;
      if (this.group >= this.groups.initialised) return -1;
      this.takeHull(task);
    }
    return this.group;
  }

  /** Puts the next free runs of the hull into quarantine, freed by `durable`. What there is no room for stays in the hull. */
  *exclude(task: Task, durable: number): Routine<void> {
    const { group, groups, records } = this;
    let left = Math.floor(this.space.unpromised(task) / SPACE_SHARE);
    const frame = yield* groups.bitmap(task, group);
    try {
      yield* lockMutex(task, records.groupLock(group));
      try {
        const free = groups.overlaid(task, group, groups.bitmapWords(frame));
        for (let runs = 0; runs < BATCH_RUNS; runs++) {
          this.at = nextFree(free, 0, this.at, this.end);
          const length = Math.min(left, nextUsed(free, 0, this.at, this.end) - this.at);
          const start = groupStart(this.geometry, group) + this.at;
          if (length === 0 || !this.quarantine.addFree(task, group, start, length, durable)) {
            if (runs === 0) this.giveUp(task);
            break;
          }
          this.at += length;
          left -= length;
        }
      } finally {
        unlockMutex(task, records.groupLock(group));
      }
    } finally {
      this.metadata.put(frame);
    }
  }

  /** There is no room for a single run: another round may have it. */
  private giveUp(task: Task): void {
    if (this.at < this.end) this.extendHull(task, this.group, this.at, this.end);
    this.at = this.end;
  }

  private takeHull(task: Task): void {
    const { records, group } = this;
    const { words } = records;
    const at = records.groupAt(group);
    if (Atomics.load(words, at + Group.TrimEnd) === 0) return;
    records.enter(task);
    this.at = words[at + Group.TrimFrom];
    this.end = words[at + Group.TrimEnd];
    Atomics.store(words, at + Group.TrimEnd, 0);
    records.leave(task);
  }

  private extendHull(task: Task, group: number, from: number, end: number): void {
    const { records } = this;
    const { words } = records;
    const at = records.groupAt(group);
    records.enter(task);
    const known = words[at + Group.TrimEnd];
    words[at + Group.TrimFrom] = known === 0 ? from : Math.min(words[at + Group.TrimFrom], from);
    Atomics.store(words, at + Group.TrimEnd, Math.max(known, end));
    records.leave(task);
  }
}
