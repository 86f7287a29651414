/**
 * Making a file durable, and telling each open file of writeback's errors once.
 *
 * Any thread may call, holding nothing. Takes: page locks and transactions below writeback, then the commit.
 *
 * Errors of writeback are kept in the inode: a sequence that rises with each, and the last one's errno. An open file has a
 * cursor into the sequence and is told when it is behind, once (Linux's errseq_t). An error that nobody has been told of
 * is told to those too who open the file later.
 */
import type { StoreError } from '../errors.js';
import { isInodeDirty, sizeOf, slotAt } from '../inode/inode.js';
import { CREDITS_UPDATE } from '../inode/inode-table.js';
import type { PageCache } from '../pagecache/page-cache.js';
import { writebackError } from '../pagecache/writeback.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { Inode } from '../sync/layout.js';
import { MAX_FILE_PAGES, type Slot } from '../units.js';
import type { Engine } from './engine.js';

/** In Inode.Error beside the errno: somebody has been told. */
const SEEN = 0x10000;

/** What an open file has been told of its inode's writeback errors. One per open file. */
export class ErrorCursor {
  sequence: number;

  constructor(arena: Arena, slot: Slot) {
    const at = slotAt(arena, slot);
    const sequence = Atomics.load(arena.words, at + Inode.ErrorSequence);
    const error = Atomics.load(arena.words, at + Inode.Error);
    this.sequence = error !== 0 && (error & SEEN) === 0 ? sequence - 1 : sequence;
  }

  /** The error that this open file has not been told of, or null. From then on it has been told. */
  take(cache: PageCache, slot: Slot): StoreError | null {
    const { arena } = cache;
    const at = slotAt(arena, slot);
    const sequence = Atomics.load(arena.words, at + Inode.ErrorSequence);
    if (sequence === this.sequence) return null;
    this.sequence = sequence;
    const errno = Atomics.or(arena.words, at + Inode.Error, SEEN) & ~SEEN;
    return writebackError(cache, errno, 'writing the file back failed; its pages are kept');
  }
}

/** Data, size and times durable. Throws the errors of writeback since this cursor's last call. */
export function* sync(task: Task, engine: Engine, slot: Slot, cursor: ErrorCursor): Routine<void> {
  yield* writeData(task, engine, slot, cursor);
  if (isInodeDirty(engine.arena, slot)) yield* updateRecord(task, engine, slot);
  yield* engine.journal.commit(task);
}

/** As `sync`, but times need not be. */
export function* datasync(task: Task, engine: Engine, slot: Slot, cursor: ErrorCursor): Routine<void> {
  yield* writeData(task, engine, slot, cursor);
  yield* engine.journal.commit(task);
}

function* writeData(task: Task, engine: Engine, slot: Slot, cursor: ErrorCursor): Routine<void> {
  const size = sizeOf(engine.arena, slot);
  const failure = yield* engine.cache.writeRange(task, slot, 0, MAX_FILE_PAGES, { wait: true });
  // The failure at hand is among what the cursor has been told of now.
  const error = cursor.take(engine.cache, slot) ?? failure;
  if (error !== null) throw error;
  yield* engine.inodes.advanceDiskSize(task, slot, size);
}

function* updateRecord(task: Task, engine: Engine, slot: Slot): Routine<void> {
  const { journal } = engine;
  if (task.yieldsAtLocks || !journal.tryBegin(task, CREDITS_UPDATE)) yield* journal.begin(task, CREDITS_UPDATE);
  try {
    yield* engine.inodes.update(task, slot);
  } finally {
    journal.end(task);
  }
}
