/**
 * A transaction that changes a file's extents or its size on the device.
 *
 * Any thread may call, holding the inode as its operation asks; no handle and no page lock may be held. Takes:
 * JournalHandle, ExtentMap exclusive, and what the extent map and the inode table take below them. A change and the
 * inode's record go into one transaction, so that blocks, size and tree agree at every commit.
 */
import { StoreError } from '../errors.js';
import type { Journal } from '../journal/journal.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { Header } from '../sync/layout.js';
import { acquireExclusive, releaseExclusive } from '../sync/rwsem.js';
import type { Slot } from '../units.js';
import { mapLockAt } from './inode.js';

/** Blocks that bringing a record up to date may dirty. */
export const CREDITS_UPDATE = 1;

/** What it needs: an engine has it, and the inode table. */
export interface ExtentParts {
  readonly arena: Arena;
  readonly journal: Journal;
  readonly inodes: { update(task: Task, slot: Slot): Routine<void> };
}

/**
 * Runs `change` in a transaction of its own, with the extent map locked exclusive, and brings the inode's record up to
 * date. Where no block for a tree node was left (`change` has then changed nothing) and a commit may free some, it is
 * tried once more after that.
 */
export function* changeExtents<T>(
  task: Task,
  parts: ExtentParts,
  slot: Slot,
  credits: number,
  change: () => Routine<T>,
): Routine<T> {
  try {
    return yield* changeOnce(task, parts, slot, credits, change);
  } catch (error) {
    const { words } = task;
    if (!(error instanceof StoreError) || error.code !== 'ENOSPC') throw error;
    if (Atomics.load(words, Header.BlocksQuarantined) === 0) throw error;
  }
  yield* parts.journal.commit(task);
  return yield* changeOnce(task, parts, slot, credits, change);
}

function* changeOnce<T>(
  task: Task,
  { journal, inodes, arena }: ExtentParts,
  slot: Slot,
  credits: number,
  change: () => Routine<T>,
): Routine<T> {
  const mapLock = mapLockAt(arena, slot);
  yield* journal.begin(task, credits + CREDITS_UPDATE);
  try {
    let result: T;
    yield* acquireExclusive(task, mapLock);
    try {
      result = yield* change();
    } finally {
      releaseExclusive(task, mapLock);
    }
    yield* inodes.update(task, slot);
    return result;
  } finally {
    journal.end(task);
  }
}
