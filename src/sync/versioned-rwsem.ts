/**
 * An rwsem whose exclusive holders change the versions (versions.ts) of the pages that they hold it for, so that reads may do
 * without it. Any task; only the task that acquired may release.
 *
 * The versions open after the rwsem was taken and close before it is given back. The range is kept in a record of the
 * task (ranges.ts) in between. Shared holds are those of the rwsem.
 */
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { Range } from './layout.js';
import { LockMode } from './lockdep.js';
import { claimRange, findRange, freeRange } from './ranges.js';
import { acquireExclusive, releaseExclusive, tryAcquireExclusive } from './rwsem.js';
import { closeVersions, openVersions } from './versions.js';

export function tryAcquireVersioned(task: Task, at: number, first: number, end: number): boolean {
  if (!tryAcquireExclusive(task, at)) return false;
  open(task, at, first, end);
  return true;
}

export function* acquireVersioned(task: Task, at: number, first: number, end: number): Routine<void> {
  yield* acquireExclusive(task, at);
  open(task, at, first, end);
}

export function releaseVersioned(task: Task, at: number): void {
  const { unsigned } = task.arena;
  const record = findRange(task, at);
  closeVersions(task, at, unsigned[record + Range.First], unsigned[record + Range.End]);
  freeRange(task, record);
  releaseExclusive(task, at);
}

/** Who took the lock for no pages, as what it will change hangs on what only the lock lets it know, says so now. */
export function coverVersioned(task: Task, at: number, first: number, end: number): void {
  const { unsigned } = task.arena;
  const record = findRange(task, at);
  openVersions(task, at, first, end);
  closeVersions(task, at, unsigned[record + Range.First], unsigned[record + Range.End]);
  unsigned[record + Range.First] = first;
  unsigned[record + Range.End] = end;
}

function open(task: Task, at: number, first: number, end: number): void {
  claimRange(task, at, LockMode.Exclusive, first, end);
  openVersions(task, at, first, end);
}
