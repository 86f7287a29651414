/**
 * Transactions that change a file's extents or its size on the device.
 *
 * Any thread may call, holding the inode as its scheme asks; no handle and no page lock may be held. Takes: JournalHandle,
 * ExtentMap exclusive, and what the extent map and the inode table take below them.
 *
 *  1. A change and the inode's record go into one transaction, so that blocks, size and tree agree at every commit.
 *  2. A long removal is many transactions; it may be cut at any of them and begun again where it stopped.
 */
import { PUBLISH_CREDITS } from '../allocator/allocator.js';
import type { ClaimedRun } from '../allocator/group-search.js';
import { StoreError } from '../errors.js';
import { CREDITS_CONVERT, CREDITS_INSERT, CREDITS_REMOVE_STEP } from '../inode/extent-map.js';
import { diskSizeOf, mapLockAt, setDiskSize, setSize, sizeOf } from '../inode/inode.js';
import { CREDITS_UPDATE } from '../inode/inode-table.js';
import { BlockRun, RunKind } from '../pagecache/mapping-operations.js';
import type { Routine } from '../routine/effect.js';
import type { PointName } from '../routine/points.js';
import type { Task } from '../routine/task.js';
import { Header } from '../sync/layout.js';
import { acquireExclusive, acquireShared, releaseExclusive, releaseShared, tryAcquireShared } from '../sync/rwsem.js';
import type { Slot } from '../units.js';
import type { Engine } from './engine.js';

/**
 * Runs `change` in a transaction of its own, with the extent map locked exclusive, and brings the inode's record up to
 * date. Where no block for a tree node was left (`change` has then changed nothing) and a commit may free some, it is
 * tried once more after that.
 */
export function* changeExtents<T>(
  task: Task,
  engine: Engine,
  slot: Slot,
  credits: number,
  change: () => Routine<T>,
): Routine<T> {
  try {
    return yield* changeOnce(task, engine, slot, credits, change);
  } catch (error) {
    const { words } = task;
    if (!(error instanceof StoreError) || error.code !== 'ENOSPC') throw error;
    if (Atomics.load(words, Header.BlocksQuarantined) === 0) throw error;
  }
  yield* engine.journal.commit(task);
  return yield* changeOnce(task, engine, slot, credits, change);
}

function* changeOnce<T>(task: Task, engine: Engine, slot: Slot, credits: number, change: () => Routine<T>): Routine<T> {
  const { journal, inodes, arena } = engine;
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

/** Sets the size that the device knows, in a transaction. */
function* storeSize(task: Task, engine: Engine, slot: Slot, bytes: number): Routine<void> {
  yield* changeExtents(task, engine, slot, 0, function* () {
    setDiskSize(task, slot, bytes);
  });
}

/**
 * Before pages are dropped: the size reaches the device now, since it may have been waiting for the writeback of one of
 * them. It may be growing or shrinking behind the caller's pages, with the extent map locked.
 */
export function* pushSize(task: Task, engine: Engine, slot: Slot): Routine<void> {
  const { arena } = engine;
  if (diskSizeOf(arena, slot) >= sizeOf(arena, slot)) return;
  yield* changeExtents(task, engine, slot, 0, function* () {
    const size = sizeOf(arena, slot);
    if (diskSizeOf(arena, slot) < size) setDiskSize(task, slot, size);
  });
}

/** After an allocation: a larger size in memory and on the device. The caller holds the file to its end. */
export function* grow(task: Task, engine: Engine, slot: Slot, sizeBytes: number): Routine<void> {
  yield* storeSize(task, engine, slot, sizeBytes);
  setSize(task, slot, sizeBytes);
}

/**
 * Before the first step of a change that takes several: the extents of [first, end) can be read, so that damage and a
 * failing device are met while there is nothing to be left half done.
 */
export function* probeExtents(task: Task, engine: Engine, slot: Slot, first: number, end: number): Routine<void> {
  const mapLock = mapLockAt(engine.arena, slot);
  yield* acquireShared(task, mapLock);
  try {
    yield* engine.extents.probe(task, slot, first, end);
  } finally {
    releaseShared(task, mapLock);
  }
}

/** Frees the blocks of [first, end). The caller has dropped the pages, and keeps fills away. */
export function* removeExtents(
  task: Task,
  engine: Engine,
  slot: Slot,
  first: number,
  end: number,
  after?: PointName,
): Routine<void> {
  let page = first;
  while (page < end) {
    const from = page;
    page = yield* changeExtents(task, engine, slot, CREDITS_REMOVE_STEP, () =>
      engine.extents.remove(task, slot, from, end),
    );
    if (after !== undefined) yield task.point(after);
  }
}

/** What the extent map says of the pages from `page` on, at most `max` of them. */
export function* lookupRun(
  task: Task,
  engine: Engine,
  slot: Slot,
  page: number,
  max: number,
  run: BlockRun,
): Routine<void> {
  const mapLock = mapLockAt(engine.arena, slot);
  if (task.yieldsAtLocks || !tryAcquireShared(task, mapLock)) yield* acquireShared(task, mapLock);
  try {
    if (!engine.extents.tryLookup(task, slot, page, run, max)) yield* engine.extents.lookup(task, slot, page, run, max);
  } finally {
    releaseShared(task, mapLock);
  }
}

/** Makes the written extents of [first, end) unwritten. The caller has dropped the pages, and keeps fills away. */
export function* unwriteExtents(task: Task, engine: Engine, slot: Slot, first: number, end: number): Routine<void> {
  const run = new BlockRun();
  for (let page = first; page < end; page += run.length) {
    yield* lookupRun(task, engine, slot, page, end - page, run);
    if (run.kind !== RunKind.Written) continue;
    const from = page;
    yield* changeExtents(task, engine, slot, CREDITS_CONVERT, () =>
      engine.extents.convert(task, slot, from, run.length, true),
    );
  }
}

/**
 * Maps the hole at `page` to the front of claimed blocks, as unwritten; returns how many pages, which may be fewer than
 * were claimed, or none, when writeback has filled part of the hole since it was looked up.
 */
export function* mapHole(
  task: Task,
  engine: Engine,
  slot: Slot,
  page: number,
  claimed: ClaimedRun,
  run: BlockRun,
): Routine<number> {
  const { extents, allocator } = engine;
  return yield* changeExtents(task, engine, slot, CREDITS_INSERT + PUBLISH_CREDITS, function* () {
    yield* extents.lookup(task, slot, page, run, claimed.length);
    if (run.kind !== RunKind.Hole) return 0;
    yield* extents.insert(task, slot, page, claimed.start, run.length, true);
    yield* allocator.publish(task, claimed.start, run.length, run.length);
    return run.length;
  });
}
