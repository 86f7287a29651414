/**
 * Writeback: dirty pages of files to the device.
 *
 * Any thread that holds nothing a page lock's holder may wait for, and no transaction handle; several may write back one
 * mapping at once.
 *
 *  1. Pages are taken in ascending index: lock, wait for the writeback under way, recheck, set Writeback and clear Dirty,
 *     unlock, next. So one page lock is held at a time; what keeps the pages together is Writeback. Two threads that
 *     take runs of one mapping cannot wait for each other in a circle, since each only waits upwards.
 *  2. The cached block (Page.Block) is trusted without the extent map: whoever changes extents drops their pages first,
 *     and dropping waits for writeback.
 *  3. Data before metadata: `completeWrite` publishes extents only after the write has succeeded, and Writeback ends after
 *     that. Then a page's Block is set before its Reserved is cleared, so that a writer who looks at Reserved first
 *     never reserves a second time.
 *  4. On an error the pages are dirty as before, and the mapping's Error and ErrorSequence say so until every file open on
 *     it has reported it once (`errorSince`).
 */
import { StoreError } from '../errors.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { Header, Inode, MOVING_BLOCK, Page, UNWRITTEN_BLOCK } from '../sync/layout.js';
import { Count, count } from '../sync/statistics.js';
import type { Frame, Slot } from '../units.js';
import type { CacheParts } from './cache-parts.js';
import { PageKind } from './mapping.js';
import { BlockRun } from './mapping-operations.js';
import { markMoving, returnPromise, takePromise, writeCopies } from './moving.js';
import { assertTransition, PageFlag, Transition } from './page.js';

/** Pages of one run: 4 MiB of 4 KiB pages, and as many buffers as the host takes in one write. */
const RUN_PAGES_MAX = 1024;
const RUN_BYTES_MAX = 4 * 1024 * 1024;

export interface WriteOptions {
  /** Also wait for what others have under writeback, and for locked pages; otherwise those are passed over. */
  wait: boolean;
}

/**
 * Writes back what is dirty in pages [first, end) at the call. Returns the first error that pages were left dirty for, or
 * null. With `wait`, null means: everything that was dirty or under writeback at the call is on the device (not flushed).
 */
export function* writeRange(
  cache: CacheParts,
  task: Task,
  mapping: Slot,
  first: number,
  end: number,
  options: WriteOptions,
): Routine<StoreError | null> {
  if (cache.mappings.dirtyPagesOf(mapping) === 0) return null;
  const indices = cache.mappings.snapshot(
    task,
    mapping,
    first,
    end,
    options.wait ? PageKind.Unsaved : PageKind.Writable,
    Number.POSITIVE_INFINITY,
  );
  const result = yield* writePages(cache, task, mapping, indices, options.wait);
  return result.error;
}

/** What one call of `writePages` did. */
export class WriteResult {
  written = 0;
  error: StoreError | null = null;
}

/** Writes back those of the pages that are dirty; `indices` ascend. Stops at the first error. */
export function* writePages(
  cache: CacheParts,
  task: Task,
  mapping: Slot,
  indices: Uint32Array,
  wait: boolean,
): Routine<WriteResult> {
  const result = new WriteResult();
  const pagesMax = Math.min(RUN_PAGES_MAX, Math.max(1, Math.floor(RUN_BYTES_MAX / cache.frames.blockBytes)));
  const run = new Run(Math.min(pagesMax, Math.max(1, indices.length)));
  for (let i = 0; i < indices.length && result.error === null; ) {
    i = yield* collect(cache, task, mapping, indices, i, wait, run);
    if (run.total === 0) continue;
    const total = run.total;
    result.error = yield* writeRun(cache, task, mapping, run);
    if (result.error === null) result.written += total;
  }
  return result;
}

/** Consecutive pages under this thread's writeback, each pinned by it. */
class Run {
  readonly frames: Int32Array;
  first = 0;
  total = 0;
  /** Pages below it are done with. */
  done = 0;
  /** 1 for pages that held a promise, where pages move when they are written; else 0. */
  readonly promised: Uint8Array;

  constructor(readonly size: number) {
    this.frames = new Int32Array(size);
    this.promised = new Uint8Array(size);
  }
}

/** Takes pages under writeback from indices[i] on, as long as they are consecutive; answers where to go on. */
function* collect(
  cache: CacheParts,
  task: Task,
  mapping: Slot,
  indices: Uint32Array,
  from: number,
  wait: boolean,
  run: Run,
): Routine<number> {
  run.total = 0;
  run.done = 0;
  let i = from;
  try {
    while (i < indices.length && run.total < run.size) {
      const index = indices[i];
      if (run.total > 0 && index !== run.first + run.total) break;
      const frame = cache.lookup.lookup(task, mapping, index);
      const taken = frame !== 0 && (yield* take(cache, task, mapping, frame, wait, run));
      if (taken) {
        if (run.total === 0) run.first = index;
        run.frames[run.total++] = frame;
      }
      i++;
    }
  } catch (error) {
    release(cache, task, mapping, run, run.total, true);
    throw error;
  }
  return i;
}

/** Puts a pinned page under writeback if it is dirty; otherwise unpins it. */
function* take(cache: CacheParts, task: Task, mapping: Slot, frame: Frame, wait: boolean, run: Run): Routine<boolean> {
  const { locks, lookup, mappings } = cache;
  let taken = false;
  try {
    if (!wait && (stateOf(cache, frame) & (PageFlag.Writeback | PageFlag.Locked)) !== 0) return false;
    if ((task.yieldsAtLocks && wait) || !locks.tryLock(task, frame)) {
      if (!wait) return false;
      yield* locks.lock(task, frame);
    }
    try {
      if (wait) yield* locks.waitWriteback(task, frame);
      const state = stateOf(cache, frame);
      if ((state & PageFlag.Dirty) !== 0 && (state & PageFlag.Writeback) === 0) {
        mappings.startWriteback(task, mapping, frame);
        run.promised[run.total] = cache.operationsOf(mapping).movesOnWrite ? takePromise(cache, frame) : 0;
        taken = true;
      }
    } finally {
      locks.unlock(task, frame);
    }
  } finally {
    if (!taken) lookup.unpin(frame);
  }
  return taken;
}

/** Writes a run and ends its writeback, whatever happens. Answers an error of the device or of the store's space. */
function* writeRun(cache: CacheParts, task: Task, mapping: Slot, run: Run): Routine<StoreError | null> {
  const { words } = cache.arena;
  try {
    if (task.stopsAtPoints) yield task.point('writeback:locked');
    while (run.done < run.total) yield* writePart(cache, task, mapping, run);
    if (Atomics.load(words, Header.WritebackError) !== 0) Atomics.store(words, Header.WritebackError, 0);
    return null;
  } catch (error) {
    if (!(error instanceof StoreError) || isFence(error)) throw error;
    recordError(cache, mapping, error);
    count(task, Count.WritebackErrors);
    return error;
  } finally {
    release(cache, task, mapping, run, run.total, true);
    Atomics.add(words, Header.WritebackWait, 1);
    task.driver.wake(Header.WritebackWait, Number.POSITIVE_INFINITY);
    cache.reclaim.announce(task);
  }
}

/** The next pages of a run that have consecutive blocks, or that get them now. */
function* writePart(cache: CacheParts, task: Task, mapping: Slot, run: Run): Routine<void> {
  const from = run.done;
  const block = blockAt(cache, run.frames[from]);
  let end = from + 1;
  if (isPlaced(block)) {
    while (end < run.total && blockAt(cache, run.frames[end]) === block + end - from) end++;
    const buffers = cache.frames.gather(run.frames, from, end);
    const position = block * cache.frames.blockBytes;
    if (!task.tryWrite(cache.device, buffers, position)) yield task.write(cache.device, buffers, position);
    settlePlaced(cache, task, mapping, run.frames, from, end);
  } else {
    while (end < run.total && !isPlaced(blockAt(cache, run.frames[end]))) end++;
    end = yield* writeMapped(cache, task, mapping, run, from, end);
  }
  release(cache, task, mapping, run, end, false);
  count(task, Count.WritebackPages, end - from);
  count(task, Count.WritebackRuns);
}

/** Pages that have no block yet, or an unwritten one. Answers where the part that got blocks ends. */
function* writeMapped(
  cache: CacheParts,
  task: Task,
  mapping: Slot,
  run: Run,
  from: number,
  to: number,
): Routine<number> {
  const operations = cache.operationsOf(mapping);
  const blocks = new BlockRun();
  const index = run.first + from;
  yield* operations.mapWrite(task, mapping, index, to - from, blocks);
  const end = from + Math.min(blocks.length, to - from);
  const { movesOnWrite } = operations;
  blocks.reserved = movesOnWrite ? promisedIn(run, from, end) : reservedIn(cache, run.frames, from, end);
  let written = false;
  try {
    if (task.stopsAtPoints) yield task.point('writeback:mapped');
    if (movesOnWrite) {
      yield* writeCopies(cache, task, mapping, run.frames, from, end, blocks);
    } else {
      const buffers = cache.frames.gather(run.frames, from, end);
      const position = blocks.block * cache.frames.blockBytes;
      if (!task.tryWrite(cache.device, buffers, position)) yield task.write(cache.device, buffers, position);
    }
    written = true;
    if (task.stopsAtPoints) yield task.point('writeback:written');
  } finally {
    if (!written) yield* operations.completeWrite(task, mapping, index, blocks, true);
  }
  yield* operations.completeWrite(task, mapping, index, blocks, false);
  for (let i = from; i < end; i++) {
    if (movesOnWrite) markMoving(cache, run.frames[i] as Frame);
    else place(cache, task, run.frames[i] as Frame, blocks.block + i - from);
  }
  return end;
}

function place(cache: CacheParts, task: Task, frame: Frame, block: number): void {
  const { words, layout } = cache.arena;
  const page = layout.pageRecords + frame * Page.Words;
  Atomics.store(words, page + Page.Block, block);
  const old = Atomics.and(words, page + Page.State, ~PageFlag.Reserved);
  if (task.lockdep !== null && (old & PageFlag.Reserved) !== 0) assertTransition(Transition.Unreserve, old, frame);
}

/** A writer may have reserved for a page that got its block at that moment: the reservation is one too many. */
function settlePlaced(
  cache: CacheParts,
  task: Task,
  mapping: Slot,
  frames: Int32Array,
  from: number,
  end: number,
): void {
  const { words, layout } = cache.arena;
  let reserved = 0;
  for (let i = from; i < end; i++) {
    const state = layout.pageRecords + frames[i] * Page.Words + Page.State;
    if ((Atomics.and(words, state, ~PageFlag.Reserved) & PageFlag.Reserved) !== 0) reserved++;
  }
  if (reserved > 0) cache.operationsOf(mapping).unreserve(task, mapping, reserved);
}

function promisedIn(run: Run, from: number, end: number): number {
  let promised = 0;
  for (let i = from; i < end; i++) promised += run.promised[i];
  return promised;
}

function reservedIn(cache: CacheParts, frames: Int32Array, from: number, end: number): number {
  let reserved = 0;
  for (let i = from; i < end; i++) if ((stateOf(cache, frames[i] as Frame) & PageFlag.Reserved) !== 0) reserved++;
  return reserved;
}

/** Ends the writeback of the run's pages below `end`, and their pins. */
function release(cache: CacheParts, task: Task, mapping: Slot, run: Run, end: number, failed: boolean): void {
  if (run.done >= end) return;
  if (failed) {
    for (let i = run.done; i < end; i++) {
      if (run.promised[i] === 1) returnPromise(cache, task, mapping, run.frames[i] as Frame);
    }
  }
  cache.mappings.endWriteback(task, mapping, run.frames, run.done, end, failed);
  for (let i = run.done; i < end; i++) cache.lookup.unpin(run.frames[i] as Frame);
  run.done = end;
}

/** The error of writeback since the sequence was `seen`, or null. What a sync reports; it then remembers the new sequence. */
export function errorSince(cache: CacheParts, mapping: Slot, seen: number): StoreError | null {
  const { words, layout } = cache.arena;
  const at = layout.inodeRecords + mapping * Inode.Words;
  if (Atomics.load(words, at + Inode.ErrorSequence) === seen) return null;
  return writebackError(cache, Atomics.load(words, at + Inode.Error));
}

export function errorSequence(cache: CacheParts, mapping: Slot): number {
  const { words, layout } = cache.arena;
  return Atomics.load(words, layout.inodeRecords + mapping * Inode.Words + Inode.ErrorSequence);
}

/** A recorded errno as an error. Damage is named by its block: the last one that writeback met, in whatever file. */
export function writebackError(cache: CacheParts, errno: number, what = 'writing dirty pages back failed'): StoreError {
  const code = errno === 28 ? 'ENOSPC' : errno === 30 ? 'EROFS' : errno === 117 ? 'EUCLEAN' : 'EIO';
  if (code !== 'EUCLEAN') return new StoreError(code, { detail: what });
  const block = cache.arena.unsigned[Header.DamagedBlock];
  return new StoreError(code, { detail: `${what}: block ${block} is damaged; run 'emmental check'`, block });
}

/** Notes an error that the next sync of every open file of the mapping reports once. */
function recordError(cache: CacheParts, mapping: Slot, error: StoreError): void {
  const { words, layout } = cache.arena;
  const at = layout.inodeRecords + mapping * Inode.Words;
  if (error.block !== undefined) Atomics.store(words, Header.DamagedBlock, error.block);
  Atomics.store(words, at + Inode.Error, -error.errno);
  Atomics.add(words, at + Inode.ErrorSequence, 1);
  Atomics.store(words, Header.WritebackError, -error.errno);
}

/** A thread's death is no fault of the device. */
function isFence(error: StoreError): boolean {
  return error.code === 'EOWNERDEAD' || error.code === 'ENOTRECOVERABLE';
}

function isPlaced(block: number): boolean {
  return block > MOVING_BLOCK && block !== UNWRITTEN_BLOCK;
}

function blockAt(cache: CacheParts, frame: number): number {
  return cache.arena.unsigned[cache.arena.layout.pageRecords + frame * Page.Words + Page.Block];
}

function stateOf(cache: CacheParts, frame: Frame): number {
  return Atomics.load(cache.arena.words, cache.arena.layout.pageRecords + frame * Page.Words + Page.State);
}
