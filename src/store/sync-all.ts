/** Making a whole store durable, and emptying it before it closes. */
import type { StoreError } from '../errors.js';
import type { Engine } from '../file/engine.js';
import { FIRST_FILE_SLOT, sizeOf, slotAt } from '../inode/inode.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { Inode } from '../sync/layout.js';
import { MAX_FILE_PAGES, type Slot } from '../units.js';

/**
 * Writes back every dirty page of every file, then commits. On return what was written before the call is durable. Throws
 * the first error of writeback after having tried all files.
 */
export function* syncStore(task: Task, engine: Engine): Routine<void> {
  const { arena, cache, inodes, journal } = engine;
  let failure: StoreError | null = null;
  for (let slot = FIRST_FILE_SLOT; slot < arena.layout.inodes; slot++) {
    const at = slotAt(arena, slot as Slot);
    const ino = arena.unsigned[at + Inode.Ino];
    if (ino === 0 || Atomics.load(arena.words, at + Inode.Pages) === 0) continue;
    // Without a reference the slot might be evicted, and stand for another inode, during the writeback.
    const held = inodes.tryFind(task, ino);
    if (held === 0) continue;
    try {
      const size = sizeOf(arena, held);
      const error = yield* cache.writeRange(task, held, 0, MAX_FILE_PAGES, { wait: true });
      if (error === null) yield* inodes.advanceDiskSize(task, held, size);
      failure ??= error;
    } finally {
      yield* inodes.release(task, held);
    }
  }
  yield* inodes.updateDirty(task);
  yield* journal.commit(task);
  if (failure !== null) throw failure;
}
