/**
 * The pages at the edges of an invalidated range: those of which only a part is to become zeros.
 *
 * Callers hold the inode's locks for their operation (i_rwsem exclusive at least), and no page lock. Takes: PageLock.
 *
 *  1. An edge is pinned before anything is changed, so that a page that cannot be read fails the operation early.
 *  2. A page of a hole, or of an unwritten extent, that nobody has dirtied is zeros already and stays clean.
 *  3. Beyond the end of the file a page holds zeros, in the cache and on the device, or a truncation is recorded that makes
 *     them (inode/extent-work.ts). Who makes the file longer calls `zeroTail` first all the same, because a writable pin
 *     can put bytes there.
 */
import { StoreError } from '../errors.js';
import { inoOf, sizeOf } from '../inode/inode.js';
import { PageFlag } from '../pagecache/page.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { NO_BLOCK, UNWRITTEN_BLOCK } from '../sync/layout.js';
import type { Frame, Slot } from '../units.js';
import type { Engine } from './engine.js';

/** The page, filled and pinned. The caller's locks keep invalidation away, as a fill needs. */
export function* pinFilled(task: Task, engine: Engine, slot: Slot, index: number): Routine<Frame> {
  const { cache } = engine;
  for (;;) {
    const frame = cache.find(slot, index);
    if (frame !== 0) {
      if (cache.isUptodate(frame)) return frame;
      cache.unpin(frame);
    }
    const blocker = yield* cache.fill(task, slot, index, 1);
    if (blocker === 0) continue;
    // Whoever has it locked is no filler, and so never waits for the invalidate lock that the caller may hold.
    yield* cache.lockPage(task, blocker);
    cache.unlockPage(task, blocker);
    cache.unpin(blocker);
  }
}

/**
 * Makes bytes [from, to) of a pinned, filled page zero, and unpins it. Where pages move when they are written, it takes a
 * block: of those that are kept back, so that space can be freed on a full device. ENOSPC when there is none either.
 */
export function* zeroEdge(
  task: Task,
  engine: Engine,
  slot: Slot,
  frame: Frame,
  from: number,
  to: number,
): Routine<void> {
  const { cache, allocator } = engine;
  const { movesOnWrite } = cache.operationsOf(slot);
  let promised = 0;
  try {
    if (movesOnWrite) {
      if (!(yield* allocator.reserveMetadata(task, 1))) throw new StoreError('ENOSPC');
      promised = 1;
    }
    if (task.yieldsAtLocks || !cache.tryLockPage(task, frame)) yield* cache.lockPage(task, frame);
    try {
      if (holdsNothing(engine, frame)) return;
      if (promised > 0 && !cache.isReserved(frame)) {
        cache.setReserved(frame);
        promised = 0;
      }
      engine.frames.bytes(frame).set(engine.zeros.subarray(from, to), from);
      cache.markDirty(task, slot, frame);
    } finally {
      cache.unlockPage(task, frame);
    }
  } finally {
    if (promised > 0) allocator.unreserve(task, promised);
    cache.unpin(frame);
  }
}

/**
 * The page that holds the end of the file: everything behind the end is made zero, here and on the device, before a larger
 * size can reach the device ahead of it.
 */
export function* zeroTail(task: Task, engine: Engine, slot: Slot): Routine<void> {
  const { blockBytes } = engine;
  const size = sizeOf(engine.arena, slot);
  const from = size % blockBytes;
  if (from === 0) return;
  const page = Math.floor(size / blockBytes);
  const frame = yield* pinFilled(task, engine, slot, page);
  if (Buffer.compare(engine.frames.bytes(frame).subarray(from), engine.zeros.subarray(from)) === 0) {
    engine.cache.unpin(frame);
  } else {
    yield* zeroEdge(task, engine, slot, frame, from, blockBytes);
  }
  yield* writeBack(task, engine, slot, page, page + 1);
}

/**
 * `zeroTail` of a file whose truncation a crash cut short, before the size and the zeros were both on the device. Throws
 * where the tail cannot be read: a later read may succeed, and would show what was cut off once the file has grown.
 */
export function* mendTail(task: Task, engine: Engine, slot: Slot): Routine<void> {
  try {
    yield* zeroTail(task, engine, slot);
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    const detail = `the end of inode ${inoOf(engine.arena, slot)}, whose truncation a crash cut short, is not to be had`;
    throw new StoreError('EIO', { syscall: 'open', detail, cause: error });
  }
}

/** `mendTail` where the owner has given up what cannot be read: such a tail is left as it is. */
export function* mendReadableTail(task: Task, engine: Engine, slot: Slot): Routine<void> {
  try {
    yield* zeroTail(task, engine, slot);
  } catch (error) {
    if (!isUnreadable(error)) throw error;
  }
}

function isUnreadable(error: unknown): error is StoreError {
  return error instanceof StoreError && error.code === 'EIO';
}

/** Writes pages [first, end) back, and waits for those that others do. Throws the error that kept pages dirty. */
export function* writeBack(task: Task, engine: Engine, slot: Slot, first: number, end: number): Routine<void> {
  const error = yield* engine.cache.writeRange(task, slot, first, end, { wait: true });
  if (error !== null) throw error;
}

/** Whether a locked page stands for a hole or an unwritten extent, and so is zeros. The state is read before the block. */
function holdsNothing(engine: Engine, frame: Frame): boolean {
  const state = engine.cache.stateOf(frame);
  if ((state & PageFlag.Detached) !== 0) return true;
  if ((state & (PageFlag.Dirty | PageFlag.Writeback)) !== 0) return false;
  const block = engine.cache.blockOf(frame);
  return block === NO_BLOCK || block === UNWRITTEN_BLOCK;
}
