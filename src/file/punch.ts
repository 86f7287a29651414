/**
 * Making a range read as zeros: by giving its blocks back (punch), or by keeping them unwritten (zero).
 *
 * Any thread may call, holding nothing. Takes: what the scheme says for `punch` or `zero`, page locks, transactions.
 *
 * Both have the one shape of an invalidation, and its order is what the invalidate lock is for:
 *   lock; push the size to the device; pin the edge pages; zero them in the cache; drop the whole pages;
 *   ── punch:dropped: a fill here would read blocks that are about to be somebody else's ──
 *   change the extents, a transaction at a time; unlock.
 *
 *  1. Dirty pages that are punched whole are never written first; their size must be pushed, or it would die with them.
 *  2. Nothing is changed before the edges have been read and, for zeroing, all blocks been found.
 */
import { StoreError } from '../errors.js';
import { WorkKind } from '../format/inode-record.js';
import { sizeOf, touchModified } from '../inode/inode.js';
import { Operation } from '../locking/scheme.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { Count, count } from '../sync/statistics.js';
import { type Frame, pageAtOrAfter, pageOf, type Slot } from '../units.js';
import { allocateHoles } from './allocate.js';
import { pinFilled, zeroEdge, zeroTail } from './edge.js';
import type { Engine } from './engine.js';
import { enterGrowing } from './enter.js';
import { grow, probeExtents, pushSize } from './extent-change.js';

/** Makes the range read as zeros and gives its whole blocks back. The size stays. */
export function* punchHole(
  task: Task,
  engine: Engine,
  slot: Slot,
  positionBytes: number,
  lengthBytes: number,
): Routine<void> {
  const { guard, blockBytes } = engine;
  const endBytes = Math.min(positionBytes + lengthBytes, engine.maxFileBytes);
  const touched = pageOf(positionBytes, blockBytes);
  const taken = yield* guard.enter(task, slot, Operation.Punch, touched, pageAtOrAfter(endBytes, blockBytes));
  try {
    count(task, Count.Punches);
    const size = sizeOf(engine.arena, slot);
    const first = pageAtOrAfter(positionBytes, blockBytes);
    // Behind the end of the file there are only zeros, so the last page goes whole where the range covers its bytes.
    const end = endBytes < size ? pageOf(endBytes, blockBytes) : pageAtOrAfter(endBytes, blockBytes);
    if (first < end) yield* probeExtents(task, engine, slot, first, end);
    yield* invalidate(task, engine, slot, Operation.Punch, positionBytes, endBytes, first, end, size);
    if (first < end) {
      const work = { kind: WorkKind.Remove, first, end, resume: 0 };
      yield* engine.inodes.work.perform(task, slot, work, 'punch:removed');
    }
    touchModified(task, slot);
  } finally {
    guard.leave(task, slot, taken);
  }
}

/** Makes the range read as zeros with its blocks allocated. Unless `keepSize`, the file grows to hold it. ENOSPC, EFBIG. */
export function* zeroRange(
  task: Task,
  engine: Engine,
  slot: Slot,
  positionBytes: number,
  lengthBytes: number,
  keepSize: boolean,
): Routine<void> {
  const { guard, blockBytes } = engine;
  const endBytes = positionBytes + lengthBytes;
  if (endBytes > engine.maxFileBytes) throw new StoreError('EFBIG', { syscall: 'zeroRange' });
  const touched = pageOf(positionBytes, blockBytes);
  const touchedEnd = pageAtOrAfter(endBytes, blockBytes);
  const taken = keepSize
    ? yield* guard.enter(task, slot, Operation.Zero, touched, touchedEnd)
    : yield* enterGrowing(task, engine, slot, Operation.Zero, positionBytes, endBytes);
  try {
    const size = sizeOf(engine.arena, slot);
    const grows = !keepSize && endBytes > size;
    if (grows) yield* zeroTail(task, engine, slot);
    yield* allocateHoles(task, engine, slot, touched, touchedEnd);
    const first = pageAtOrAfter(positionBytes, blockBytes);
    const end = endBytes < size ? pageOf(endBytes, blockBytes) : pageAtOrAfter(endBytes, blockBytes);
    yield* invalidate(task, engine, slot, Operation.Zero, positionBytes, endBytes, first, end, size);
    if (first < end) {
      yield* engine.inodes.work.perform(task, slot, { kind: WorkKind.Unwrite, first, end, resume: 0 });
    }
    touchModified(task, slot);
    if (grows) yield* grow(task, engine, slot, endBytes);
  } finally {
    guard.leave(task, slot, taken);
  }
}

/** Zeroes the parts of [positionBytes, endBytes) outside the pages [first, end), and drops those pages. */
function* invalidate(
  task: Task,
  engine: Engine,
  slot: Slot,
  operation: Operation,
  positionBytes: number,
  endBytes: number,
  first: number,
  end: number,
  size: number,
): Routine<void> {
  const { blockBytes, cache } = engine;
  engine.journal.throwIfFailed();
  const edges: Frame[] = [];
  const pages = edgePages(positionBytes, Math.min(endBytes, size), first, end, blockBytes);
  let settled = 0;
  try {
    for (const page of pages) edges.push(yield* pinFilled(task, engine, slot, page));
    yield* pushSize(task, engine, slot);
    while (settled < edges.length) {
      const start = pages[settled] * blockBytes;
      const from = Math.max(positionBytes - start, 0);
      const to = Math.min(endBytes - start, blockBytes);
      const frame = edges[settled++];
      yield* zeroEdge(task, engine, slot, frame, from, to);
    }
  } finally {
    for (const frame of edges.slice(settled)) cache.unpin(frame);
  }
  if (first >= end) return;
  engine.guard.assertInvalidating(task, slot, operation, first, end);
  yield* cache.drop(task, slot, first, end);
  yield task.point('punch:dropped');
}

/** The pages that hold bytes of [positionBytes, endBytes) and are none of [first, end): two at most. */
function edgePages(positionBytes: number, endBytes: number, first: number, end: number, blockBytes: number): number[] {
  if (positionBytes >= endBytes) return [];
  const pages: number[] = [];
  const head = pageOf(positionBytes, blockBytes);
  const tail = pageOf(endBytes - 1, blockBytes);
  if (head < first) pages.push(head);
  if (tail >= end && tail >= first) pages.push(tail);
  return pages;
}
