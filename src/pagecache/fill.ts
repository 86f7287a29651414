/**
 * Filling: from "not cached" to "up to date".
 *
 * Any thread. The caller holds the lock that excludes fills from invalidation, over the whole call: inserting the locked
 * pages, looking up their blocks and reading the device must be one step for who changes the extents.
 *
 *  1. A fill sleeps for a page frame only while it has no page locked, and never for a page that somebody else has locked:
 *     it hands that one back, and the caller waits for it after dropping its lock.
 *  2. A page is marked up to date after its bytes are in place, and unlocked after that. Runs of pages come up one by one.
 *  3. When a fill fails, the pages that it created and did not finish leave the cache, so that the next reader tries again.
 *     It fails for required pages only, and for none but the first that cannot be read.
 */
import { StoreError } from '../errors.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { fillChannel, publishFill } from '../sync/channels.js';
import { MOVING_BLOCK, NO_BLOCK, Page, UNWRITTEN_BLOCK } from '../sync/layout.js';
import { Count, count } from '../sync/statistics.js';
import type { Frame, PageIndex, Slot } from '../units.js';
import type { CacheParts } from './cache-parts.js';
import { detach } from './drop.js';
import { type FillBatch, keepBatch, takeBatch } from './fill-batch.js';
import { BlockRun, RunKind } from './mapping-operations.js';
import { assertTransition, PageFlag, Transition } from './page.js';

export interface FillOptions {
  /** Page that gets the readahead marker when it is inserted. */
  marker?: number;
  /** Nobody waits for the pages beyond the first `required`: those are counted as prefetched, and passed over when busy. */
  required?: number;
}

const NO_OPTIONS: FillOptions = {};
/** Pages of one fill. */
const PAGES_MAX = 1024;
/** Bytes of one read: a reader behind the fill gets on with the first part of a window while the rest is on its way. */
const READ_BYTES_MAX = 1024 * 1024;
/** A fill locks at most this part of the cache: others, and the extent lookup, need frames meanwhile. */
const SHARE_MAX = 32;

/**
 * Fills what is missing of the pages [first, first + count), or less of it when frames are short; page `first` is always
 * seen to. Returns 0, or the first required page that somebody else has locked, pinned: the caller drops its lock, waits
 * with `waitUnlocked`, unpins, and tries again. Throws the device's errors, EUCLEAN and ENOMEM.
 */
export function* fill(
  cache: CacheParts,
  task: Task,
  mapping: Slot,
  first: number,
  pages: number,
  options: FillOptions = NO_OPTIONS,
): Routine<Frame> {
  const size = Math.max(1, Math.min(pages, PAGES_MAX, Math.floor(cache.frames.frames / SHARE_MAX)));
  const batch = takeBatch(cache, size);
  let busy = 0 as Frame;
  if (task.yieldsAtLocks) yield task.point('lock:wanted');
  try {
    busy = yield* gather(cache, task, mapping, first, batch, options);
    if (batch.total > 0) {
      if (task.stopsAtPoints) yield task.point('fill:locked');
      while (batch.done < batch.total) yield* fillRun(cache, task, mapping, batch);
    }
  } catch (error) {
    // Nobody asked for the pages that could not be read: who does will be told.
    const isAhead = batch.done < batch.total && batch.indices[batch.done] >= first + (options.required ?? size);
    if (!isAhead || !isUnreadable(error)) {
      if (busy !== 0) cache.lookup.unpin(busy);
      throw error;
    }
  } finally {
    if (batch.done < batch.total) abandonRest(cache, task, mapping, batch);
    keepBatch(cache, batch);
  }
  return busy;
}

/** Fills one page that the caller has locked and pinned, for a write to part of it. On an error nothing has changed. */
export function* fillLocked(cache: CacheParts, task: Task, mapping: Slot, frame: Frame, index: number): Routine<void> {
  const run = new BlockRun();
  if (task.stopsAtPoints) yield task.point('fill:locked');
  yield* cache.operationsOf(mapping).map(task, mapping, index, 1, run);
  if (task.stopsAtPoints) yield task.point('fill:mapped');
  const frames = Int32Array.of(frame);
  yield* load(cache, task, mapping, index, run, frames, 0, 1);
  setBlock(cache, mapping, frame, run, 0);
  const old = Atomics.or(cache.arena.words, stateAt(cache, frame), PageFlag.Uptodate);
  if (task.lockdep !== null) assertTransition(Transition.FillDone, old, frame);
  count(task, Count.Fills);
  count(task, Count.FillPages);
  if (fillChannel.hasSubscribers) publishFill(cache.arena, mapping, index, 1);
}

/** Locks what is there and not up to date, and creates what is not there. */
function* gather(
  cache: CacheParts,
  task: Task,
  mapping: Slot,
  first: number,
  batch: FillBatch,
  options: FillOptions,
): Routine<Frame> {
  const { lookup, locks, reclaim, mappings } = cache;
  const { size, spare, fresh } = batch;
  const required = options.required ?? size;
  let spares = 0;
  let used = 0;
  let inserted = 0;
  let prefetched = 0;
  let busy = 0 as Frame;
  try {
    for (let i = 0; i < size; ) {
      const index = first + i;
      let frame = lookup.find(mapping, index);
      if (frame === 0) {
        if (used === spares) {
          used = 0;
          spares = yield* reclaim.allocate(task, mapping, spare, size - i, batch.total === 0 && i < required);
          if (spares === 0) break;
        }
        frame = lookup.insert(task, spare[used] as Frame, mapping, index, hintsOf(options, index, i >= required));
        if (frame === 0) {
          frame = spare[used++] as Frame;
          locks.adopt(task, frame);
          if (i >= required) prefetched++;
          fresh[inserted++] = frame;
          batch.push(frame, index, true);
          i++;
          continue;
        }
      }
      if (isUptodate(cache, frame)) {
        lookup.unpin(frame);
      } else if (!locks.tryLock(task, frame)) {
        if (i < required) {
          busy = frame;
          break;
        }
        lookup.unpin(frame);
      } else if (isUptodate(cache, frame) || isDetached(cache, frame)) {
        const again = isDetached(cache, frame);
        locks.unlock(task, frame);
        lookup.unpin(frame);
        if (again) continue;
      } else {
        batch.push(frame, index, false);
      }
      i++;
    }
  } finally {
    reclaim.giveBack(task, spare, used, spares);
    if (prefetched > 0) count(task, Count.ReadaheadIssued, prefetched);
    if (inserted > 0) {
      mappings.add(task, mapping, fresh, inserted);
      reclaim.enqueue(task, fresh, inserted);
    }
  }
  return busy;
}

function hintsOf(options: FillOptions, index: number, isPrefetched: boolean): number {
  return (options.marker === index ? PageFlag.Readahead : 0) | (isPrefetched ? PageFlag.Prefetched : 0);
}

/** Brings the batch's next run of pages up: as many as follow each other in the file and on the device. */
function* fillRun(cache: CacheParts, task: Task, mapping: Slot, batch: FillBatch): Routine<void> {
  const { frames, indices, done } = batch;
  const limit = Math.min(batch.total, done + Math.max(1, Math.floor(READ_BYTES_MAX / cache.frames.blockBytes)));
  let end = done + 1;
  while (end < limit && indices[end] === indices[end - 1] + 1) end++;
  const run = new BlockRun();
  yield* cache.operationsOf(mapping).map(task, mapping, indices[done], end - done, run);
  end = Math.min(end, done + run.length);
  if (task.stopsAtPoints) yield task.point('fill:mapped');
  try {
    yield* load(cache, task, mapping, indices[done], run, frames, done, end);
  } catch (error) {
    if (end === done + 1 || !isUnreadable(error)) throw error;
    // One bad block is no reason to fail its neighbours' readers.
    end = done + 1;
    yield* load(cache, task, mapping, indices[done], run, frames, done, end);
  }
  if (run.kind === RunKind.Written && task.stopsAtPoints) yield task.point('fill:read');
  // Backwards: who waits for the first page finds the others up to date when it wakes, and does not sleep again for each.
  for (let i = end - 1; i >= done; i--) {
    setBlock(cache, mapping, frames[i] as Frame, run, i - done);
    cache.locks.unlockFilled(task, frames[i] as Frame);
  }
  batch.done = end;
  count(task, Count.Fills);
  count(task, Count.FillPages, end - done);
  if (fillChannel.hasSubscribers) publishFill(cache.arena, mapping, indices[done], end - done);
}

/** Puts the run's content, from page `index` on, into frames[from] … frames[to - 1]. */
function* load(
  cache: CacheParts,
  task: Task,
  mapping: Slot,
  index: number,
  run: BlockRun,
  frames: Int32Array,
  from: number,
  to: number,
): Routine<void> {
  const { blockBytes } = cache.frames;
  if (run.kind !== RunKind.Written) {
    for (let i = from; i < to; i++) cache.frames.zero(frames[i] as Frame);
    return;
  }
  const buffers = cache.frames.gather(frames, from, to);
  const got = yield task.read(cache.device, buffers, run.block * blockBytes);
  if (got < (to - from) * blockBytes) {
    throw new StoreError('EIO', { syscall: 'read', detail: `block ${run.block} lies past the end of the device` });
  }
  const operations = cache.operationsOf(mapping);
  if (!operations.verifies) return;
  for (let i = from; i < to; i++) {
    const page = (index + i - from) as PageIndex;
    yield* operations.verify(task, mapping, page, run.block + i - from, cache.frames.bytes(frames[i] as Frame));
  }
}

function isUnreadable(error: unknown): boolean {
  return error instanceof StoreError && (error.code === 'EIO' || error.code === 'EUCLEAN');
}

/** Published by the operation that marks the page up to date. */
function setBlock(cache: CacheParts, mapping: Slot, frame: Frame, run: BlockRun, offset: number): void {
  const { words, layout } = cache.arena;
  const written = cache.operationsOf(mapping).movesOnWrite ? MOVING_BLOCK : run.block + offset;
  const block = run.kind === RunKind.Written ? written : run.kind === RunKind.Hole ? NO_BLOCK : UNWRITTEN_BLOCK;
  words[layout.pageRecords + frame * Page.Words + Page.Block] = block;
}

function abandonRest(cache: CacheParts, task: Task, mapping: Slot, batch: FillBatch): void {
  for (let i = batch.done; i < batch.total; i++) {
    const frame = batch.frames[i] as Frame;
    if (batch.created[i] === 1) detach(cache, task, mapping, frame, batch.indices[i]);
    cache.locks.unlock(task, frame);
    cache.lookup.unpin(frame);
  }
}

function stateAt(cache: CacheParts, frame: Frame): number {
  return cache.arena.layout.pageRecords + frame * Page.Words + Page.State;
}

function isUptodate(cache: CacheParts, frame: Frame): boolean {
  return (Atomics.load(cache.arena.words, stateAt(cache, frame)) & PageFlag.Uptodate) !== 0;
}

function isDetached(cache: CacheParts, frame: Frame): boolean {
  return (Atomics.load(cache.arena.words, stateAt(cache, frame)) & PageFlag.Detached) !== 0;
}
