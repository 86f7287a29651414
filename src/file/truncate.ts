/**
 * Truncation: a file made shorter or longer.
 *
 * Any thread may call, holding nothing. Takes: what the scheme says for `truncate`, then page locks, then transactions.
 *
 *  1. The size first, then the cache: a reader that comes in between sees the new end, and nobody fills pages behind it.
 *  2. What lay behind the new end never comes back: its pages are dropped, the rest of its last page made zero, and only
 *     then are the extents freed, in as many transactions as it takes; the one that sets the size records that it is so.
 *     The zeros are written before a larger size can be: that transaction flushes first, since the size on the device grows
 *     (journal/commit.ts). Otherwise, after a power cut, the longer file would show what had been cut off.
 *  3. What can fail (reading the last page, the transaction that holds the new size) comes before anything changes.
 */
import { StoreError } from '../errors.js';
import { type Work, WorkKind } from '../format/inode-record.js';
import { changeExtents } from '../inode/extent-transaction.js';
import { setDiskSize, setSize, sizeOf, touchModified } from '../inode/inode.js';
import { Operation } from '../locking/scheme.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { Count, count } from '../sync/statistics.js';
import { type Frame, MAX_FILE_PAGES, pageAtOrAfter, pageOf, type Slot } from '../units.js';
import { pinFilled, zeroEdge, zeroTail } from './edge.js';
import type { Engine } from './engine.js';
import { enterResizing } from './enter.js';
import { probeExtents } from './extent-change.js';

/** Sets the size, down or up. Throws EFBIG. */
export function* truncate(task: Task, engine: Engine, slot: Slot, sizeBytes: number): Routine<void> {
  if (sizeBytes > engine.maxFileBytes) throw new StoreError('EFBIG', { syscall: 'truncate' });
  const taken = yield* enterResizing(task, engine, slot, Operation.Truncate, sizeBytes);
  try {
    count(task, Count.Truncates);
    if (sizeBytes >= sizeOf(engine.arena, slot)) yield* extend(task, engine, slot, sizeBytes);
    else yield* shorten(task, engine, slot, sizeBytes);
  } finally {
    engine.guard.leave(task, slot, taken);
  }
}

/** Blocks kept beyond the end by fallocate stay, unless the size is set to what it is: then they are freed, as in Linux. */
function* extend(task: Task, engine: Engine, slot: Slot, sizeBytes: number): Routine<void> {
  const isSame = sizeBytes === sizeOf(engine.arena, slot);
  if (!isSame) yield* zeroTail(task, engine, slot);
  yield* resize(task, engine, slot, sizeBytes);
  if (!isSame) return;
  const first = pageAtOrAfter(sizeBytes, engine.blockBytes);
  yield* dropPages(task, engine, slot, first);
  yield* engine.inodes.work.perform(task, slot, removal(first));
}

function* shorten(task: Task, engine: Engine, slot: Slot, sizeBytes: number): Routine<void> {
  const { blockBytes, cache } = engine;
  const from = sizeBytes % blockBytes;
  let edge = 0 as Frame;
  yield* probeExtents(task, engine, slot, pageAtOrAfter(sizeBytes, blockBytes), MAX_FILE_PAGES);
  if (from !== 0) edge = yield* pinFilled(task, engine, slot, pageOf(sizeBytes, blockBytes));
  const before = sizeOf(engine.arena, slot);
  const first = pageAtOrAfter(sizeBytes, blockBytes);
  try {
    yield* engine.inodes.work.performAfter(
      task,
      slot,
      removal(first),
      () => setSizes(task, slot, sizeBytes),
      () => setSize(task, slot, before),
      function* () {
        yield task.point('truncate:sized');
        yield* dropPages(task, engine, slot, first);
        yield task.point('truncate:dropped');
        if (edge === 0) return;
        const frame = edge;
        edge = 0 as Frame;
        yield* zeroEdge(task, engine, slot, frame, from, blockBytes);
        // An error stays with the inode, and the next sync tells of it.
        yield* cache.writeRange(task, slot, first - 1, first, { wait: true });
      },
    );
  } finally {
    if (edge !== 0) cache.unpin(edge);
  }
}

/** Everything from page `first` on goes. */
function removal(first: number): Work {
  return { kind: WorkKind.Remove, first, end: MAX_FILE_PAGES, resume: 0 };
}

function setSizes(task: Task, slot: Slot, sizeBytes: number): void {
  setSize(task, slot, sizeBytes);
  setDiskSize(task, slot, sizeBytes);
  touchModified(task, slot);
}

/** The size in memory and on the device, together; neither if the record cannot be written. */
function* resize(task: Task, engine: Engine, slot: Slot, sizeBytes: number): Routine<void> {
  const before = sizeOf(engine.arena, slot);
  try {
    yield* changeExtents(task, engine, slot, 0, function* () {
      setSizes(task, slot, sizeBytes);
    });
  } catch (error) {
    setSize(task, slot, before);
    throw error;
  }
}

function* dropPages(task: Task, engine: Engine, slot: Slot, first: number): Routine<void> {
  engine.guard.assertInvalidating(task, slot, Operation.Truncate, first);
  yield* engine.cache.drop(task, slot, first, MAX_FILE_PAGES);
}
