/**
 * Filling the cache before it is asked for, and emptying it.
 *
 * Any thread may call, holding nothing. Takes: what the scheme says for `willNeed` or `readahead` around each chunk, so that
 * a long window never holds an invalidation up for long.
 *
 * Nobody waits for these pages: busy ones are passed over, errors are dropped (the read that needs the page meets them).
 */
import { StoreError } from '../errors.js';
import { sizeOf } from '../inode/inode.js';
import { Operation } from '../locking/scheme.js';
import type { ReadaheadState } from '../pagecache/readahead.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { MAX_FILE_PAGES, MIB, pageAtOrAfter, pageOf, type Slot } from '../units.js';
import type { Engine } from './engine.js';

export type Advice = 'normal' | 'sequential' | 'random' | 'willneed' | 'dontneed';

/** Bytes filled under one hold of the lock. */
const CHUNK_BYTES = 2 * MIB;

/** Reads a window ahead: what `engine.requestReadahead` asks for, run by a service thread. */
export function* readAhead(
  task: Task,
  engine: Engine,
  slot: Slot,
  first: number,
  count: number,
  marker: number,
): Routine<void> {
  yield task.point('readahead:planned');
  yield* fillChunks(task, engine, slot, Operation.Readahead, first, first + count, marker);
}

/** posix_fadvise. A length of 0 means to the end. */
export function* advise(
  task: Task,
  engine: Engine,
  slot: Slot,
  readahead: ReadaheadState,
  advice: Advice,
  positionBytes: number,
  lengthBytes: number,
): Routine<void> {
  const { blockBytes, cache } = engine;
  const endBytes = lengthBytes === 0 ? Number.POSITIVE_INFINITY : positionBytes + lengthBytes;
  if (advice === 'willneed') {
    const first = pageOf(positionBytes, blockBytes);
    const end = pageAtOrAfter(Math.min(endBytes, sizeOf(engine.arena, slot)), blockBytes);
    // More than half the cache would push its own first pages out again.
    const last = Math.min(end, first + Math.floor(engine.arena.layout.frames / 2));
    yield* fillChunks(task, engine, slot, Operation.WillNeed, first, last, -1);
  } else if (advice === 'dontneed') {
    // Pages of which a part is still wanted stay.
    const first = pageAtOrAfter(positionBytes, blockBytes);
    const end = endBytes >= sizeOf(engine.arena, slot) ? MAX_FILE_PAGES : pageOf(endBytes, blockBytes);
    if (first >= end) return;
    yield* cache.writeRange(task, slot, first, end, { wait: true });
    cache.evictRange(task, slot, first, end);
  } else {
    readahead.advise(advice);
  }
}

function* fillChunks(
  task: Task,
  engine: Engine,
  slot: Slot,
  operation: Operation,
  first: number,
  end: number,
  marker: number,
): Routine<void> {
  const { guard, cache, blockBytes } = engine;
  const chunk = CHUNK_BYTES / blockBytes;
  try {
    for (let page = first; page < end; page += chunk) {
      const taken = yield* guard.enter(task, slot, operation, page, Math.min(page + chunk, end));
      try {
        // A truncation since the window was chosen leaves nothing to fill behind the end.
        const last = Math.min(page + chunk, end, pageAtOrAfter(sizeOf(engine.arena, slot), blockBytes));
        if (page >= last) return;
        yield* cache.fill(task, slot, page, last - page, { marker, required: 0 });
      } finally {
        guard.leave(task, slot, taken);
      }
    }
  } catch (error) {
    if (!(error instanceof StoreError) || error.code === 'EOWNERDEAD') throw error;
  }
}
