/**
 * Entering for operations that may change the size of a file: which pages they hold.
 *
 * Any thread may call, holding nothing of the inode. Takes what the scheme says for the operation. Where a lock of the
 * scheme knows ranges, one rule keeps the size still for everybody who needs it so:
 *
 *  1. Who changes the size from one value to another holds, exclusively, all pages from the one in which the smaller of the two
 *     lies, to the last page that a file may have.
 *  2. So there is one at a time, and he reaches the old end as well as the new one. And who holds [first, end) of pages, for
 *     whatever operation that excludes writes, sees a size that does not move, or moves beyond `end` alone: what he works out from it
 *     for his own pages stays true.
 *
 * What is to be held hangs on the size, which is looked at before the lock is taken, and then again: where it has moved so that
 * the hold does not do, it is given back and taken anew.
 */
import { sizeOf } from '../inode/inode.js';
import type { Operation } from '../locking/scheme.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { MAX_FILE_PAGES, pageAtOrAfter, pageOf, type Slot } from '../units.js';
import type { Engine } from './engine.js';

/** For an operation on [positionBytes, endBytes) that makes the file longer if that reaches behind its end. */
export function* enterGrowing(
  task: Task,
  engine: Engine,
  slot: Slot,
  operation: Operation,
  positionBytes: number,
  endBytes: number,
): Routine<number> {
  const { guard, blockBytes, arena } = engine;
  const end = pageAtOrAfter(endBytes, blockBytes);
  if (!guard.locksRanges) return yield* guard.enter(task, slot, operation, pageOf(positionBytes, blockBytes), end);
  for (;;) {
    const size = sizeOf(arena, slot);
    const grows = endBytes > size;
    const first = pageOf(grows ? Math.min(size, positionBytes) : positionBytes, blockBytes);
    const taken = yield* guard.enter(task, slot, operation, first, grows ? MAX_FILE_PAGES : end);
    const now = sizeOf(arena, slot);
    if (endBytes <= now || (grows && first <= pageOf(now, blockBytes))) return taken;
    guard.leave(task, slot, taken);
  }
}

/**
 * For an operation that sets a size whatever it is now: it looks at nothing and changes nothing before `positionBytes`, or the
 * end where that comes first; and makes the file no longer than to `positionBytes`, or by `growthBytes`.
 */
export function* enterResizing(
  task: Task,
  engine: Engine,
  slot: Slot,
  operation: Operation,
  positionBytes: number,
  growthBytes = 0,
): Routine<number> {
  const { guard, blockBytes, arena } = engine;
  for (;;) {
    const first = pageOf(Math.min(sizeOf(arena, slot), positionBytes), blockBytes);
    const taken = yield* guard.enter(task, slot, operation, first, guard.locksRanges ? MAX_FILE_PAGES : first);
    const size = sizeOf(arena, slot);
    const changed = pageOf(Math.min(size, positionBytes), blockBytes);
    if (first <= changed || !guard.locksRanges) {
      const reach = positionBytes === Number.POSITIVE_INFINITY ? size : Math.max(size, positionBytes);
      guard.cover(task, slot, taken, changed, pageAtOrAfter(reach + growthBytes, blockBytes));
      return taken;
    }
    guard.leave(task, slot, taken);
  }
}
