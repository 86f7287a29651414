/**
 * Collapsing and inserting ranges: what follows moves down or up by whole blocks, without being copied.
 *
 * Any thread may call, holding nothing. Takes: what the scheme says for `shift`, page locks, transactions.
 *
 *  1. With the locks held, what is going to move is written back, and the cache is dropped from the range to the end;
 *     nobody can fill or dirty pages there until the extents have moved. A failed write leaves everything as it was.
 *  2. The move may be many transactions; after a crash between two the next opening finishes it, unlike in Linux.
 */
import { StoreError } from '../errors.js';
import { WorkKind } from '../format/inode-record.js';
import { sizeOf, touchModified } from '../inode/inode.js';
import { Operation } from '../locking/scheme.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { MAX_FILE_PAGES, type Slot } from '../units.js';
import { writeBack } from './edge.js';
import type { Engine } from './engine.js';
import { enterResizing } from './enter.js';
import { probeExtents, pushSize } from './extent-change.js';

/** Removes the range and moves what follows down. Throws EINVAL when unaligned, or when it reaches the end of the file. */
export function* collapseRange(
  task: Task,
  engine: Engine,
  slot: Slot,
  positionBytes: number,
  lengthBytes: number,
): Routine<void> {
  const { guard, blockBytes, arena } = engine;
  checkAligned('collapseRange', positionBytes, lengthBytes, blockBytes);
  const taken = yield* enterResizing(task, engine, slot, Operation.Shift, positionBytes);
  try {
    const size = sizeOf(arena, slot);
    if (positionBytes + lengthBytes >= size) {
      throw new StoreError('EINVAL', { syscall: 'collapseRange', detail: 'the range reaches the end of the file' });
    }
    const first = positionBytes / blockBytes;
    const end = first + lengthBytes / blockBytes;
    yield* flushAndDrop(task, engine, slot, first, end);
    yield* engine.inodes.work.perform(task, slot, { kind: WorkKind.Collapse, first, end, resume: 0 });
    touchModified(task, slot);
  } finally {
    guard.leave(task, slot, taken);
  }
}

/** Makes room for a hole and moves what follows up. Throws EINVAL when unaligned or past the end, EFBIG. */
export function* insertRange(
  task: Task,
  engine: Engine,
  slot: Slot,
  positionBytes: number,
  lengthBytes: number,
): Routine<void> {
  const { guard, blockBytes, arena } = engine;
  checkAligned('insertRange', positionBytes, lengthBytes, blockBytes);
  const taken = yield* enterResizing(task, engine, slot, Operation.Shift, positionBytes, lengthBytes);
  try {
    const size = sizeOf(arena, slot);
    if (positionBytes >= size) {
      throw new StoreError('EINVAL', { syscall: 'insertRange', detail: 'the position is not inside the file' });
    }
    if (size + lengthBytes > engine.maxFileBytes) throw new StoreError('EFBIG', { syscall: 'insertRange' });
    const first = positionBytes / blockBytes;
    yield* flushAndDrop(task, engine, slot, first, first);
    const end = first + lengthBytes / blockBytes;
    yield* engine.inodes.work.perform(task, slot, { kind: WorkKind.Insert, first, end, resume: 0 });
    touchModified(task, slot);
  } finally {
    guard.leave(task, slot, taken);
  }
}

function checkAligned(syscall: string, positionBytes: number, lengthBytes: number, blockBytes: number): void {
  if (lengthBytes > 0 && positionBytes % blockBytes === 0 && lengthBytes % blockBytes === 0) return;
  const detail = `position and length must be multiples of the block size, ${blockBytes}, and the length not 0`;
  throw new StoreError('EINVAL', { syscall, detail });
}

/** Writes the pages from `moved` on back, pushes the size, and drops all pages from `first` on. */
function* flushAndDrop(task: Task, engine: Engine, slot: Slot, first: number, moved: number): Routine<void> {
  engine.journal.throwIfFailed();
  yield* probeExtents(task, engine, slot, first, MAX_FILE_PAGES);
  yield* writeBack(task, engine, slot, moved, MAX_FILE_PAGES);
  yield* pushSize(task, engine, slot);
  engine.guard.assertInvalidating(task, slot, Operation.Shift, first);
  yield* engine.cache.drop(task, slot, first, MAX_FILE_PAGES);
  yield task.point('shift:flushed');
}
