/**
 * Counters: one row of doubles per slot of the thread registry, written by its own thread alone and summed by readers.
 *
 * A row belongs to the slot, not to the thread: whoever takes the slot next goes on adding, so that the counts of threads
 * that are gone stay in the sum.
 */
import type { Task } from '../routine/task.js';
import type { Arena } from './arena.js';
import { lockWaitChannel, publishLockWait } from './channels.js';
import { STATISTICS_COLUMNS } from './layout.js';

export const enum Count {
  ReadHits,
  ReadMisses,
  WriteHits,
  WriteMisses,
  Fills,
  FillPages,
  ReadaheadIssued,
  ReadaheadUsed,
  ReadaheadWasted,
  Evictions,
  EvictionsDirtySkipped,
  WritebackPages,
  WritebackRuns,
  WritebackErrors,
  Throttles,
  DirectReclaims,
  Punches,
  Truncates,
  Commits,
  CommitBlocks,
  HandleWaits,
  BlocksAllocated,
  BlocksFreed,
  AllocatorSearches,
  QuarantineFlushes,
  /** Blocks written to the log, records included; checkpoints, and the blocks that they wrote in place. */
  LogBlocks,
  Checkpoints,
  CheckpointBlocks,
  /** Acquisitions that waited, and how long: one column per LockRank from here on. */
  LockWaits = 32,
  LockWaitMs = 48,
}

export function count(task: Task, column: Count, n = 1): void {
  task.arena.doubles[task.statistics + column] += n;
}

/** One acquisition of a lock of `rank` that had to wait since `sinceMs`. */
export function countLockWait(task: Task, rank: number, sinceMs: number): void {
  const { doubles } = task.arena;
  const waitedMs = Math.max(0, task.driver.now() - sinceMs);
  doubles[task.statistics + Count.LockWaits + rank] += 1;
  doubles[task.statistics + Count.LockWaitMs + rank] += waitedMs;
  if (task.lockTimes !== null) task.lockTimes.waited(rank, waitedMs);
  if (lockWaitChannel.hasSubscribers) publishLockWait(task.arena, rank, waitedMs);
}

/** The sum of all rows, by column. */
export function sumStatistics(arena: Arena): number[] {
  const sums = new Array<number>(STATISTICS_COLUMNS).fill(0);
  const { statistics, threads } = arena.layout;
  for (let thread = 0; thread < threads; thread++) {
    const row = statistics + thread * STATISTICS_COLUMNS;
    for (let column = 0; column < STATISTICS_COLUMNS; column++) sums[column] += arena.doubles[row + column];
  }
  return sums;
}
