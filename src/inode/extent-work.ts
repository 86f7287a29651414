/**
 * Changes of a file's extents that may be too large for one transaction: punches, truncations, zeroed ranges, ranges
 * collapsed and inserted.
 *
 * Any thread may call, holding the inode as its operation asks until the work is done; no handle and no page lock.
 *
 *  1. Work that its first transaction does not finish is recorded in that transaction (orphan-list.ts), and erased in its
 *     last one. So a crash leaves it not begun, or to be finished at the next opening, before anybody sees the file.
 *  2. Every step may be done again: removing what is gone and unwriting what is unwritten changes nothing. A move is not
 *     of that kind, so each of its steps records where the next begins.
 *  3. The size on the device, and in memory, changes with a move's first step.
 *  4. The record of a truncation stands until the rest of the last block is zeros on the device: a file that grows later
 *     relies on them. Who finishes one after a crash makes them first.
 *  5. Where data have checksums, unwriting is durable before the inode is given back: writeback writes to unwritten blocks in
 *     place, and a cut would leave the new content under the old checksum.
 *  6. Work that an error stopped stays recorded, and keeps the inode in core: the next opening finishes it.
 */
import { type Work, WorkKind } from '../format/inode-record.js';
import { BlockRun, RunKind } from '../pagecache/mapping-operations.js';
import type { Routine } from '../routine/effect.js';
import type { PointName } from '../routine/points.js';
import type { Task } from '../routine/task.js';
import { MAX_FILE_PAGES, type Slot } from '../units.js';
import { CREDITS_CONVERT, CREDITS_REMOVE_STEP, CREDITS_SHIFT_STEP, type ExtentMap, SHIFT_DONE } from './extent-map.js';
import { changeExtents, type ExtentParts } from './extent-transaction.js';
import { diskSizeOf, setDiskSize, setSize } from './inode.js';
import { CREDITS_ORPHAN, type OrphanList } from './orphan-list.js';

const CREDITS_STEP = Math.max(CREDITS_REMOVE_STEP, CREDITS_CONVERT, CREDITS_SHIFT_STEP) + CREDITS_ORPHAN;

/** Where a piece of work stands. */
class Progress {
  isRecorded = false;
  isDone = false;
  /** Up to here the pages of the range are done. */
  page: number;

  constructor(
    readonly work: Work,
    readonly place: number,
  ) {
    this.page = work.first;
  }
}

export class ExtentWork {
  constructor(
    private readonly parts: ExtentParts,
    private readonly extents: ExtentMap,
    private readonly orphans: OrphanList,
    private readonly blockBytes: number,
    /** Whether data have checksums. */
    private readonly isSummed: boolean,
  ) {}

  /** Does the work; `after` is reached after each transaction. */
  *perform(task: Task, slot: Slot, work: Work, after?: PointName): Routine<void> {
    const progress = new Progress(work, yield* this.orphans.claim(task, slot));
    try {
      yield* this.run(task, slot, progress, after);
    } finally {
      this.settle(slot, progress);
    }
  }

  /**
   * As `perform`, for work that another change makes necessary: `change` is done in the transaction that records it
   * (`undo`: in memory, where that fails), `between` after that and before the first step.
   */
  *performAfter(
    task: Task,
    slot: Slot,
    work: Work,
    change: () => void,
    undo: () => void,
    between: () => Routine<void>,
  ): Routine<void> {
    const { orphans } = this;
    const progress = new Progress(work, yield* orphans.claim(task, slot));
    try {
      try {
        yield* changeExtents(task, this.parts, slot, CREDITS_ORPHAN, function* () {
          change();
          yield* orphans.record(task, slot, progress.place, work);
        });
      } catch (error) {
        undo();
        throw error;
      }
      progress.isRecorded = true;
      yield* between();
      yield* this.run(task, slot, progress);
    } finally {
      this.settle(slot, progress);
    }
  }

  /** Finishes what a crash left of the inode's work. The opening thread, before others attach. */
  *finish(task: Task, slot: Slot): Routine<void> {
    const works = yield* this.orphans.takeOver(task, slot);
    for (const [place, work] of works) {
      const progress = new Progress(work, place);
      progress.isRecorded = true;
      yield* this.run(task, slot, progress);
      this.settle(slot, progress);
    }
    if (works.size > 0) return;
    yield* changeExtents(task, this.parts, slot, CREDITS_ORPHAN, () => this.orphans.drop(task, slot));
  }

  private *run(task: Task, slot: Slot, progress: Progress, after?: PointName): Routine<void> {
    try {
      while (!progress.isDone) {
        progress.isDone = yield* changeExtents(task, this.parts, slot, CREDITS_STEP, () =>
          this.step(task, slot, progress),
        );
        if (after !== undefined) yield task.point(after);
      }
    } finally {
      const { journal } = this.parts;
      if (this.isSummed && progress.work.kind === WorkKind.Unwrite && !journal.failed) yield* journal.commit(task);
    }
  }

  /** Gives the place back, unless it holds work that an error stopped. */
  private settle(slot: Slot, { isDone, isRecorded, place }: Progress): void {
    if (isDone || !isRecorded) this.orphans.unclaim(slot, place);
  }

  /** One transaction of it; whether it was the last. */
  private *step(task: Task, slot: Slot, progress: Progress): Routine<boolean> {
    const { orphans } = this;
    const { work, place } = progress;
    const resumed = work.resume;
    const isDone = yield* this.advance(task, slot, progress);
    if (isDone) {
      if (progress.isRecorded) {
        if (this.leavesTail(slot, work)) this.parts.journal.orderData(task);
        yield* orphans.erase(task, slot, place);
      }
    } else if (!progress.isRecorded || work.resume !== resumed) {
      yield* orphans.record(task, slot, place, work);
      progress.isRecorded = true;
    }
    return isDone;
  }

  /** Whether it is a truncation inside a block, whose other bytes have been made zero. */
  private leavesTail(slot: Slot, { kind, end }: Work): boolean {
    return (
      kind === WorkKind.Remove && end === MAX_FILE_PAGES && diskSizeOf(this.parts.arena, slot) % this.blockBytes !== 0
    );
  }

  private *advance(task: Task, slot: Slot, progress: Progress): Routine<boolean> {
    const { work } = progress;
    switch (work.kind) {
      case WorkKind.Unwrite:
        return yield* this.unwrite(task, slot, progress);
      case WorkKind.Insert:
        return yield* this.move(task, slot, work, work.first, work.end - work.first);
      case WorkKind.Collapse:
        if (work.resume !== 0 || progress.page === work.end) {
          return yield* this.move(task, slot, work, work.end, work.first - work.end);
        }
        yield* this.remove(task, slot, progress);
        return false;
      default:
        yield* this.remove(task, slot, progress);
        return progress.page === work.end;
    }
  }

  private *remove(task: Task, slot: Slot, progress: Progress): Routine<void> {
    progress.page = yield* this.extents.remove(task, slot, progress.page, progress.work.end);
  }

  /** Converts the next written run of the range. */
  private *unwrite(task: Task, slot: Slot, progress: Progress): Routine<boolean> {
    const { end } = progress.work;
    const run = new BlockRun();
    while (progress.page < end) {
      yield* this.extents.lookup(task, slot, progress.page, run, end - progress.page);
      const { page } = progress;
      if (run.kind === RunKind.Written) yield* this.extents.convert(task, slot, page, run.length, true);
      progress.page = page + run.length;
      if (run.kind === RunKind.Written) break;
    }
    return progress.page >= end;
  }

  /** Moves the extents of one leaf; with the first, the size. */
  private *move(task: Task, slot: Slot, work: Work, from: number, delta: number): Routine<boolean> {
    const resume = work.resume === 0 ? undefined : work.resume - 1;
    const next = yield* this.extents.shift(task, slot, from, delta, resume);
    if (resume === undefined) {
      const size = diskSizeOf(this.parts.arena, slot) + delta * this.blockBytes;
      setDiskSize(task, slot, size);
      setSize(task, slot, size);
    }
    if (next === SHIFT_DONE) return true;
    work.resume = next + 1;
    return false;
  }
}
