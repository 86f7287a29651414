/**
 * Reading what the hot path could not: the slow path of `HotPath.readHit`.
 *
 * Any thread may call, holding nothing. Takes: what the scheme says for `readHit` around the whole read (so that under a
 * scheme that locks there, a read is atomic against writes), and for `readMiss` around each fill.
 *
 * Where the scheme validates reads instead, the pages are copied without that lock, and again if somebody held it exclusive
 * meanwhile; it is taken shared after VALIDATED_TRIES, or where somebody holds it right now, as he may sleep.
 *
 *  1. The user's buffer is written with a pinned page at most, never under the lock of a fill.
 *  2. The size is read again after a page was found up to date: bytes behind the end are never given out.
 *  3. A page that somebody else has locked is waited for with the fill's lock given back, and then looked up again.
 */
import { StoreError } from '../errors.js';
import { sizeOf } from '../inode/inode.js';
import { Taken } from '../locking/guard.js';
import { Operation } from '../locking/scheme.js';
import { PageFlag } from '../pagecache/page.js';
import type { ReadaheadState } from '../pagecache/readahead.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { Count, count } from '../sync/statistics.js';
import { CHANGING } from '../sync/versions.js';
import { type Frame, pageAtOrAfter, pageOf, type Slot } from '../units.js';
import type { Engine } from './engine.js';

/** What a window has beyond the request is read here too, in the same run, unless it is as much as this. */
const HANDOVER_BYTES = 512 * 1024;
const VALIDATED_TRIES = 3;

/**
 * Copies up to `length` bytes at `positionBytes` into `target`; returns how many, 0 at or past the end. An error after
 * some bytes is dropped: reading on meets it again.
 */
export function* read(
  task: Task,
  engine: Engine,
  slot: Slot,
  readahead: ReadaheadState | null,
  target: Uint8Array,
  offset: number,
  length: number,
  positionBytes: number,
): Routine<number> {
  const { guard, blockBytes } = engine;
  const first = pageOf(positionBytes, blockBytes);
  const end = pageAtOrAfter(positionBytes + length, blockBytes);
  let done = -1;
  if (guard.validatesReads) {
    for (let tries = 0; done < 0 && tries < VALIDATED_TRIES; tries++) {
      const version = guard.versionOf(slot, first, end);
      if (version === CHANGING) break;
      const n = yield* copyAll(task, engine, slot, readahead, target, offset, length, positionBytes, Taken.Nothing);
      if (guard.versionOf(slot, first, end) === version) done = n;
    }
  }
  if (done < 0) {
    const held = yield* guard.enter(task, slot, Operation.ReadHit, first, end);
    try {
      done = yield* copyAll(task, engine, slot, readahead, target, offset, length, positionBytes, held);
    } finally {
      guard.leave(task, slot, held);
    }
  }
  if (done > 0) readahead?.onRead(pageOf(positionBytes + done - 1, blockBytes));
  return done;
}

/** Copies what there is, page by page, and fills what is missing. */
function* copyAll(
  task: Task,
  engine: Engine,
  slot: Slot,
  readahead: ReadaheadState | null,
  target: Uint8Array,
  offset: number,
  length: number,
  positionBytes: number,
  held: number,
): Routine<number> {
  const { cache, blockBytes } = engine;
  let done = 0;
  /** The page of the last miss: to find it then is no hit. */
  let filled = -1;
  try {
    while (done < length) {
      const at = positionBytes + done;
      if (at >= sizeOf(engine.arena, slot)) break;
      if (engine.faultIn !== null) yield* engine.faultIn();
      const index = pageOf(at, blockBytes);
      if (task.yieldsAtLocks) yield task.point('read:page');
      const start = at - index * blockBytes;
      const n = engine.pages.copy(
        task,
        slot,
        index,
        start,
        target,
        offset + done,
        Math.min(length - done, blockBytes - start),
      );
      if (n > 0) {
        done += n;
        if (index !== filled) count(task, Count.ReadHits);
        continue;
      }
      const frame = cache.findHit(task.record, slot, index);
      const state = frame === 0 ? 0 : cache.stateOf(frame);
      const isMarker = (state & PageFlag.Readahead) !== 0 && cache.takeMarker(frame);
      if (frame !== 0) cache.unpinHit(task.record, frame);
      if ((state & PageFlag.Uptodate) === 0) {
        count(task, Count.ReadMisses);
        filled = index;
        yield* fillFor(task, engine, slot, readahead, at, length - done, held);
      } else if (isMarker) {
        askForMore(engine, slot, readahead, index, at, length - done);
      }
    }
  } catch (error) {
    if (done === 0 || !(error instanceof StoreError)) throw error;
  }
  return done;
}

/** Fills a window that begins with the page of `at`: what is left of the request, or more if the file is read in order. */
function* fillFor(
  task: Task,
  engine: Engine,
  slot: Slot,
  readahead: ReadaheadState | null,
  at: number,
  left: number,
  held: number,
): Routine<void> {
  const { guard, cache, blockBytes } = engine;
  const size = sizeOf(engine.arena, slot);
  const index = pageOf(at, blockBytes);
  const pages = pageAtOrAfter(Math.min(at + left, size), blockBytes) - index;
  if (pages <= 0) return;
  let total = pages;
  let marker = -1;
  if (readahead !== null) {
    const { first, count, marker: asking } = readahead.onMiss(index, pages, pageAtOrAfter(size, blockBytes));
    marker = asking;
    if (first > index) {
      // The window that holds this page was asked for, and its turn has not come; the one behind it is due then.
      if (count > 0) engine.requestReadahead(slot, first, count, asking);
    } else if (count >= pages + HANDOVER_BYTES / blockBytes) {
      engine.requestReadahead(slot, index + pages, count - pages, asking);
    } else {
      total = Math.max(count, 1);
    }
    if (task.stopsAtPoints) yield task.point('readahead:planned');
  }
  const taken = yield* guard.enter(task, slot, Operation.ReadMiss, index, index + total, held);
  let blocker: Frame;
  try {
    blocker = yield* cache.fill(task, slot, index, total, { marker, required: Math.min(pages, total) });
  } finally {
    guard.leave(task, slot, taken);
  }
  if (task.yieldsAtLocks) yield task.point('read:filled');
  if (blocker === 0) return;
  try {
    yield* cache.waitUnlocked(task, blocker);
  } finally {
    cache.unpin(blocker);
  }
}

/** The reader has come to the marked page of its window: the next one is read in the background. */
function askForMore(
  engine: Engine,
  slot: Slot,
  readahead: ReadaheadState | null,
  index: number,
  at: number,
  left: number,
): void {
  if (readahead === null) return;
  const { blockBytes } = engine;
  const size = sizeOf(engine.arena, slot);
  const pages = Math.max(1, pageAtOrAfter(Math.min(at + left, size), blockBytes) - index);
  const window = readahead.onMarker(index, pages, pageAtOrAfter(size, blockBytes));
  if (window.count > 0) engine.requestReadahead(slot, window.first, window.count, window.marker);
}
