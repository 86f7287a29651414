/**
 * Preallocation: blocks for a range before anything is written to it.
 *
 * Any thread may call, holding nothing (`allocateHoles`: i_rwsem exclusive over its pages). Takes: what the scheme says for `allocate`,
 * then transactions.
 *
 *  1. All blocks are promised before the first is mapped, so that ENOSPC changes nothing.
 *  2. Writeback goes on meanwhile and may fill parts of a hole with delayed blocks: what is a hole is looked up again in the
 *     transaction that maps it.
 *  3. Pages cached over a hole stay: they are zeros, as the unwritten extent is. They may go on saying "no block", and
 *     writeback looks the extent up before it believes them.
 */
import { ClaimedRun } from '../allocator/group-search.js';
import { StoreError } from '../errors.js';
import { sizeOf, slotAt, touchModified } from '../inode/inode.js';
import { Operation } from '../locking/scheme.js';
import { BlockRun, RunKind } from '../pagecache/mapping-operations.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { Inode } from '../sync/layout.js';
import { pageAtOrAfter, pageOf, type Slot } from '../units.js';
import { zeroTail } from './edge.js';
import type { Engine } from './engine.js';
import { enterGrowing } from './enter.js';
import { grow, lookupRun, mapHole } from './extent-change.js';

/** Gives every hole of the range blocks that read as zeros. Throws ENOSPC with nothing changed, EFBIG. */
export function* fallocate(
  task: Task,
  engine: Engine,
  slot: Slot,
  positionBytes: number,
  lengthBytes: number,
  keepSize: boolean,
): Routine<void> {
  const { guard, blockBytes } = engine;
  const endBytes = positionBytes + lengthBytes;
  if (endBytes > engine.maxFileBytes) throw new StoreError('EFBIG', { syscall: 'fallocate' });
  const taken = keepSize
    ? yield* guard.enter(
        task,
        slot,
        Operation.Allocate,
        pageOf(positionBytes, blockBytes),
        pageAtOrAfter(endBytes, blockBytes),
      )
    : yield* enterGrowing(task, engine, slot, Operation.Allocate, positionBytes, endBytes);
  try {
    const size = sizeOf(engine.arena, slot);
    const grows = !keepSize && endBytes > size;
    if (grows) yield* zeroTail(task, engine, slot);
    yield* allocateHoles(task, engine, slot, pageOf(positionBytes, blockBytes), pageAtOrAfter(endBytes, blockBytes));
    touchModified(task, slot);
    if (grows) yield* grow(task, engine, slot, endBytes);
  } finally {
    guard.leave(task, slot, taken);
  }
}

/** Maps every hole of the pages [first, end) to unwritten blocks. */
export function* allocateHoles(task: Task, engine: Engine, slot: Slot, first: number, end: number): Routine<void> {
  const { allocator } = engine;
  const run = new BlockRun();
  let promised = 0;
  for (let page = first; page < end; page += run.length) {
    yield* lookupRun(task, engine, slot, page, end - page, run);
    if (run.kind === RunKind.Hole) promised += run.length;
  }
  if (promised === 0) return;
  if (!allocator.reserve(task, promised) && !(yield* allocator.reserveWaiting(task, promised))) {
    throw new StoreError('ENOSPC', { syscall: 'fallocate' });
  }
  try {
    let goal = engine.arena.unsigned[slotAt(engine.arena, slot) + Inode.Goal];
    let page = first;
    while (page < end && promised > 0) {
      yield* lookupRun(task, engine, slot, page, end - page, run);
      if (run.kind === RunKind.Hole) {
        const mapped = yield* fillHole(task, engine, slot, page, Math.min(run.length, promised), goal, run);
        promised -= mapped;
        page += mapped;
      } else {
        page += run.length;
      }
      goal = run.block + run.length;
    }
  } finally {
    if (promised > 0) allocator.unreserve(task, promised);
  }
}

/** Maps the front of a hole; returns how many pages, none when the hole is gone. `run.block` is where they lie. */
function* fillHole(
  task: Task,
  engine: Engine,
  slot: Slot,
  page: number,
  length: number,
  goal: number,
  run: BlockRun,
): Routine<number> {
  const { allocator } = engine;
  const claimed = new ClaimedRun();
  yield* allocator.claim(task, goal, length, claimed);
  let mapped = 0;
  try {
    mapped = yield* mapHole(task, engine, slot, page, claimed, run);
    run.block = claimed.start;
  } finally {
    if (mapped < claimed.length) allocator.unclaim(task, claimed.start + mapped, claimed.length - mapped);
  }
  return mapped;
}
