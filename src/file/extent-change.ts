/**
 * What file operations ask of the extent map, and the changes of it that are one transaction (extent-transaction.ts).
 *
 * Any thread may call, holding the inode as its scheme asks; no handle and no page lock may be held. Takes: ExtentMap
 * shared, or what such a transaction takes.
 */
import { PUBLISH_CREDITS } from '../allocator/allocator.js';
import type { ClaimedRun } from '../allocator/group-search.js';
import { CREDITS_INSERT } from '../inode/extent-map.js';
import { changeExtents } from '../inode/extent-transaction.js';
import { diskSizeOf, mapLockAt, setDiskSize, setSize, sizeOf } from '../inode/inode.js';
import { type BlockRun, RunKind } from '../pagecache/mapping-operations.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { acquireShared, releaseShared, tryAcquireShared } from '../sync/rwsem.js';
import type { Slot } from '../units.js';
import type { Engine } from './engine.js';

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
