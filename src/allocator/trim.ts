/**
 * Discarding later what was freed in small pieces.
 *
 * A discard takes the host longer than the rest of a commit, and makes it allocate again what is written there next; and
 * blocks freed in small pieces are often taken again at once. So runs shorter than Header.DiscardLater are released as they
 * are, and put into a queue. A round goes through the queue and discards what is free of its runs then. The background thread
 * does a round every few seconds, closing does the last.
 *
 * 1. The queue changes under the Exclusions leaf mutex. A run that touches one that is queued makes that longer; where the
 *    queue is full, runs are discarded at once. Nothing is discarded that was not freed before.
 * 2. Blocks are in quarantine while they are discarded, as freed by a durable transaction: nobody has them, and who finds no
 *    other ones waits for them, as for those that a commit will release.
 * 3. Little of the space that nobody was promised is taken at a time, and no exclusion record that an open handle was.
 *
 * `note` and `exclude` under the Checkpoint mutex; a round is its thread's own.
 */
import { nextFree, nextUsed } from '../format/bitmap.js';
import { type Geometry, groupOf, groupStart } from '../format/geometry.js';
import type { Metadata } from '../journal/metadata.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { Header, TRIM_RUNS, TrimRun } from '../sync/layout.js';
import { lockMutex, unlockMutex } from '../sync/mutex.js';
import type { ExclusionRecords } from './exclusion-records.js';
import type { GroupSearch } from './group-search.js';
import type { BlockRange, Quarantine } from './quarantine.js';
import type { Space } from './space.js';

/** Pieces of a run that are discarded; it has more of them where most of it was taken again, and then the rest may stay. */
const PIECES_MAX = 16;
/** A run takes at most one part in so many of the space that nobody was promised. */
const SPACE_SHARE = 4;

export class Trim {
  /** The run at hand: blocks of one group. */
  private readonly run: BlockRange = { start: 0, length: 0 };
  /** Runs that the round has still to come to. */
  private left = 0;

  constructor(
    private readonly arena: Arena,
    private readonly records: ExclusionRecords,
    private readonly quarantine: Quarantine,
    private readonly groups: GroupSearch,
    private readonly space: Space,
    private readonly metadata: Metadata,
    private readonly geometry: Geometry,
  ) {}

  /** A run of one group is about to be released undiscarded. False: there is no room for it. */
  note(task: Task, { start, length }: BlockRange): boolean {
    const { words, unsigned } = this.arena;
    this.records.enter(task);
    const count = words[Header.TrimCount];
    let isNoted = this.extend(start, length, count);
    if (!isNoted && count < TRIM_RUNS) {
      const at = this.at(words[Header.TrimHead] + count);
      unsigned[at + TrimRun.Start] = start;
      unsigned[at + TrimRun.Length] = length;
      Atomics.store(words, Header.TrimCount, count + 1);
      isNoted = true;
    }
    this.records.leave(task);
    return isNoted;
  }

  /** The next round is of what is queued now. */
  begin(): void {
    this.left = Atomics.load(this.arena.words, Header.TrimCount);
  }

  /** Takes the next run of the round, and answers its group; -1: the round is over. */
  next(task: Task): number {
    const { run } = this;
    const { words, unsigned } = this.arena;
    this.records.enter(task);
    const count = this.left > 0 ? words[Header.TrimCount] : 0;
    if (count > 0) {
      const head = words[Header.TrimHead];
      const at = this.at(head);
      run.start = unsigned[at + TrimRun.Start];
      run.length = unsigned[at + TrimRun.Length];
      words[Header.TrimHead] = (head + 1) % TRIM_RUNS;
      Atomics.store(words, Header.TrimCount, count - 1);
      this.left -= 1;
    }
    this.records.leave(task);
    return count > 0 ? groupOf(this.geometry, run.start) : -1;
  }

  /** Puts what is free of the run into quarantine, freed by `durable`. Where there is no room for that, it is queued again. */
  *exclude(task: Task, group: number, durable: number): Routine<void> {
    const frame = yield* this.groups.bitmap(task, group);
    try {
      const lock = this.records.groupLock(group);
      yield* lockMutex(task, lock);
      try {
        this.excludePieces(task, group, this.groups.overlaid(task, group, this.groups.bitmapWords(frame)), durable);
      } finally {
        unlockMutex(task, lock);
      }
    } finally {
      this.metadata.put(frame);
    }
  }

  private excludePieces(task: Task, group: number, used: Uint32Array, durable: number): void {
    const first = groupStart(this.geometry, group);
    const end = this.run.start + this.run.length - first;
    let left = Math.floor(this.space.unpromised(task) / SPACE_SHARE);
    let bit = nextFree(used, 0, this.run.start - first, end);
    for (let pieces = 0; bit < end && pieces < PIECES_MAX; pieces++) {
      const length = nextUsed(used, 0, bit, end) - bit;
      if (length > left || !this.quarantine.addFree(task, group, first + bit, length, durable)) {
        this.note(task, { start: first + bit, length: end - bit });
        return;
      }
      left -= length;
      bit = nextFree(used, 0, bit + length, end);
    }
  }

  /** Makes a queued run of the same group longer that the run touches. Under the leaf mutex. */
  private extend(start: number, length: number, count: number): boolean {
    const { words, unsigned } = this.arena;
    const group = groupOf(this.geometry, start);
    for (let i = 0; i < count; i++) {
      const at = this.at(words[Header.TrimHead] + i);
      const from = unsigned[at + TrimRun.Start];
      const end = from + unsigned[at + TrimRun.Length];
      if (start > end || start + length < from || groupOf(this.geometry, from) !== group) continue;
      unsigned[at + TrimRun.Start] = Math.min(from, start);
      unsigned[at + TrimRun.Length] = Math.max(end, start + length) - Math.min(from, start);
      return true;
    }
    return false;
  }

  /** Word offset of a place in the queue, which is a ring. */
  private at(place: number): number {
    return this.arena.layout.trimRuns + (place % TRIM_RUNS) * TrimRun.Words;
  }
}
