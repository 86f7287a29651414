/**
 * Pinned pages: zero-copy windows on the cache, as page faults make them.
 *
 * Any thread may call, holding nothing. Takes: what the scheme says for `faultHit`, `fault` and `mkwrite`; page locks.
 *
 *  1. A pin has a record in the arena (Pin), so that the pins of a thread that dies are given back. At most a quarter of
 *     the frames is pinned: the rest must stay reclaimable.
 *  2. A pinned page keeps its content. Whoever drops it from the cache detaches it, and `isCurrent` says so from then on.
 *  3. A write pin finds its block promised and its page dirty before the caller sees the bytes, so that nothing can fail
 *     later; writeback may clean the page meanwhile, and the release makes it dirty again. A detached page's bytes are lost.
 *  4. The release takes the `mkwrite` locks too: who writes back and drops pages with those excluded (collapse, insert)
 *     loses no bytes that were released before.
 */
import { assert } from '../assert.js';
import { StoreError } from '../errors.js';
import { sizeOf, touchModified } from '../inode/inode.js';
import { Operation } from '../locking/scheme.js';
import type { PageCache } from '../pagecache/page-cache.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { Header, MOVING_BLOCK, Pin } from '../sync/layout.js';
import { type Frame, pageOf, type Slot } from '../units.js';
import type { Engine } from './engine.js';

/** One pin of one page. The public `PinnedPage` wraps it. */
export interface PagePin {
  readonly slot: Slot;
  readonly frame: Frame;
  /** Number of its record in the arena. */
  readonly record: number;
  /** The whole page. */
  readonly bytes: Uint8Array;
  /** Where the page starts in the file. */
  readonly positionBytes: number;
  readonly write: boolean;
  /** Blocks promised for the release: 1 where pages move when they are written, as this one may while it is pinned. */
  promised: number;
}

/** Pins the page that holds `positionBytes`. Throws ENXIO past the end, ENOMEM at too many pins, ENOSPC, EIO. */
export function* pin(task: Task, engine: Engine, slot: Slot, positionBytes: number, write: boolean): Routine<PagePin> {
  const { words } = task;
  if (write) {
    engine.journal.throwIfFailed();
    yield* engine.cache.balanceDirty(task);
  }
  const record = claimRecord(task, engine);
  const at = engine.arena.layout.pinRecords + record * Pin.Words;
  const { allocator } = engine;
  let frame = 0 as Frame;
  let promised = 0;
  try {
    if (write && engine.cache.operationsOf(slot).movesOnWrite) {
      if (!(yield* allocator.reserveWaiting(task, 1))) throw new StoreError('ENOSPC', { syscall: 'pin' });
      promised = 1;
    }
    do {
      if (frame !== 0) engine.cache.unpin(frame);
      frame = 0 as Frame;
      frame = yield* fault(task, engine, slot, positionBytes);
    } while (write && !(yield* makeWritable(task, engine, slot, frame, positionBytes)));
  } catch (error) {
    if (frame !== 0) engine.cache.unpin(frame);
    if (promised > 0) allocator.unreserve(task, promised);
    Atomics.store(words, at + Pin.Thread, 0);
    throw error;
  }
  words[at + Pin.Frame] = frame;
  Atomics.add(words, Header.Pins, 1);
  const { blockBytes } = engine;
  return {
    slot,
    frame,
    record,
    bytes: engine.frames.run(frame, 1),
    positionBytes: pageOf(positionBytes, blockBytes) * blockBytes,
    write,
    promised,
  };
}

/** Whether the page is still the file's: false from a punch or truncation of it on. */
export function isCurrent(engine: Engine, pinned: PagePin): boolean {
  return !engine.cache.isDetached(pinned.frame);
}

/** Gives the pin back, once. A write pin's page becomes dirty, unless it was detached meanwhile. */
export function* releasePin(task: Task, engine: Engine, pinned: PagePin): Routine<void> {
  try {
    if (pinned.write) yield* dirtyReleased(task, engine, pinned);
  } finally {
    if (pinned.promised > 0) engine.allocator.unreserve(task, pinned.promised);
    const { words } = task;
    const at = engine.arena.layout.pinRecords + pinned.record * Pin.Words;
    words[at + Pin.Frame] = 0;
    Atomics.sub(words, Header.Pins, 1);
    engine.cache.unpin(pinned.frame);
    Atomics.store(words, at + Pin.Thread, 0);
  }
}

/** Whether the page, locked by the caller, has a block to be written to or the promise of one. Asked in this order: see `place` in writeback. */
export function isBacked(cache: PageCache, frame: Frame): boolean {
  return cache.isReserved(frame) || cache.blockOf(frame) > MOVING_BLOCK;
}

function claimRecord(task: Task, engine: Engine): number {
  const { words } = task;
  const { pins, pinRecords, frames } = engine.arena.layout;
  if (Atomics.load(words, Header.Pins) < frames / 4) {
    const first = (task.thread * 61) % pins;
    for (let i = 0; i < pins; i++) {
      const record = (first + i) % pins;
      const at = pinRecords + record * Pin.Words + Pin.Thread;
      if (Atomics.load(words, at) === 0 && Atomics.compareExchange(words, at, 0, task.thread + 1) === 0) return record;
    }
  }
  throw new StoreError('ENOMEM', { syscall: 'pin', detail: 'a quarter of the cache is pinned' });
}

/** The page, up to date and pinned. */
function* fault(task: Task, engine: Engine, slot: Slot, positionBytes: number): Routine<Frame> {
  const { cache, guard, arena } = engine;
  const index = pageOf(positionBytes, engine.blockBytes);
  for (;;) {
    if (positionBytes >= sizeOf(arena, slot)) throw pastTheEnd();
    let taken = yield* guard.enter(task, slot, Operation.FaultHit, index, index + 1);
    const frame = cache.find(slot, index);
    const isHit = frame !== 0 && cache.isUptodate(frame);
    guard.leave(task, slot, taken);
    if (isHit) return frame;
    if (frame !== 0) cache.unpin(frame);
    taken = yield* guard.enter(task, slot, Operation.Fault, index, index + 1);
    let blocker: Frame;
    try {
      blocker = yield* cache.fill(task, slot, index, 1);
    } finally {
      guard.leave(task, slot, taken);
    }
    if (task.yieldsAtLocks) yield task.point('read:filled');
    if (blocker === 0) continue;
    yield* cache.waitUnlocked(task, blocker);
    cache.unpin(blocker);
  }
}

/** Linux's page_mkwrite: a block promised, the page dirty. False when the page was detached: fault again. */
function* makeWritable(task: Task, engine: Engine, slot: Slot, frame: Frame, positionBytes: number): Routine<boolean> {
  const { allocator } = engine;
  const index = pageOf(positionBytes, engine.blockBytes);
  let spare = 0;
  try {
    for (;;) {
      const taken = yield* lockForMkwrite(task, engine, slot, frame, index);
      try {
        if (engine.cache.isDetached(frame)) return false;
        if (positionBytes >= sizeOf(engine.arena, slot)) throw pastTheEnd();
        if (isBacked(engine.cache, frame)) {
          engine.cache.markDirty(task, slot, frame);
          return true;
        }
        if (spare > 0 || allocator.reserve(task, 1)) {
          spare = 0;
          engine.cache.setReserved(frame);
          engine.cache.markDirty(task, slot, frame);
          return true;
        }
      } finally {
        engine.cache.unlockPage(task, frame);
        engine.guard.leave(task, slot, taken);
      }
      if (!(yield* allocator.reserveWaiting(task, 1))) throw new StoreError('ENOSPC', { syscall: 'pin' });
      spare = 1;
    }
  } finally {
    if (spare > 0) allocator.unreserve(task, spare);
  }
}

function* dirtyReleased(task: Task, engine: Engine, pinned: PagePin): Routine<void> {
  const { slot, frame, positionBytes } = pinned;
  const { blockBytes, cache } = engine;
  const taken = yield* lockForMkwrite(task, engine, slot, frame, pageOf(positionBytes, blockBytes));
  try {
    if (cache.isDetached(frame)) return;
    if (!isBacked(cache, frame)) {
      assert(pinned.promised > 0, 'a page was written to new blocks, and nothing promised');
      pinned.promised = 0;
      cache.setReserved(frame);
    }
    const inside = Math.max(sizeOf(engine.arena, slot) - positionBytes, 0);
    if (inside < blockBytes) pinned.bytes.set(engine.zeros.subarray(inside), inside);
    cache.markDirty(task, slot, frame);
    touchModified(task, slot);
  } finally {
    engine.cache.unlockPage(task, frame);
    engine.guard.leave(task, slot, taken);
  }
}

/** The scheme's locks, then the page's; returns what the guard took. */
function* lockForMkwrite(task: Task, engine: Engine, slot: Slot, frame: Frame, index: number): Routine<number> {
  const { cache, guard } = engine;
  const taken = yield* guard.enter(task, slot, Operation.Mkwrite, index, index + 1);
  try {
    if (task.yieldsAtLocks || !cache.tryLockPage(task, frame)) yield* cache.lockPage(task, frame);
  } catch (error) {
    guard.leave(task, slot, taken);
    throw error;
  }
  return taken;
}

function pastTheEnd(): StoreError {
  return new StoreError('ENXIO', { syscall: 'pin', detail: 'the position is not inside the file' });
}
