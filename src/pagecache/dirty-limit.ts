/**
 * How much may be dirty: background writeback, and the throttling of writers.
 *
 * Writers call `balanceDirty` before they take any lock; above the limit they write pages back themselves, or wait for who
 * does. One service thread runs `writebackLoop`; it starts at half the limit, and on pages that have been dirty too long.
 * Both count pages under writeback as dirty, as these hold their frames just as long. Takes no lock but those of writeback.
 *
 * Once writing fails, writers above the limit get the error and the background thread looks again once a second: nobody
 * spins on a device that takes no more writes.
 */
import { type Routine, WOKEN } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { Header } from '../sync/layout.js';
import { Count, count } from '../sync/statistics.js';
import type { Slot } from '../units.js';
import type { CacheParts } from './cache-parts.js';
import { PageKind, secondsOf } from './mapping.js';
import { writebackError, writePages } from './writeback.js';

/** Pages that a throttled writer, or one short of frames, writes back at a time. */
const SHARE_PAGES = 256;
/** How long the background thread sleeps at most: expiry is looked at as often, and a failed device tried again. */
const INTERVAL_MS = 1000;
const THROTTLE_MS = 100;

export function dirtyLimitOf(cache: CacheParts): number {
  return Math.max(1, Math.floor(cache.frames.frames * cache.limits.dirtyRatio));
}

/** Makes a writer wait while too much is dirty. Throws the error when nothing can be written. Holds no lock, no handle. */
export function* balanceDirty(cache: CacheParts, task: Task): Routine<void> {
  const { words } = cache.arena;
  const limit = dirtyLimitOf(cache);
  if (Atomics.load(words, Header.PagesDirty) * 2 <= limit) return;
  wakeBackground(task);
  if (Atomics.load(words, Header.PagesDirty) <= limit) return;
  count(task, Count.Throttles);
  for (;;) {
    const sequence = Atomics.load(words, Header.WritebackWait);
    if (Atomics.load(words, Header.PagesDirty) <= limit) return;
    if ((yield* writeSome(cache, task, SHARE_PAGES)) > 0) continue;
    const errno = Atomics.load(words, Header.WritebackError);
    if (errno !== 0) throw writebackError(errno);
    yield task.wait(Header.WritebackWait, sequence, THROTTLE_MS);
  }
}

/** Writes back about `pages` of the pages that became dirty first, of one mapping after the other; answers how many. */
export function* writeSome(cache: CacheParts, task: Task, pages: number): Routine<number> {
  const { words, layout } = cache.arena;
  const start = Atomics.load(words, Header.WritebackClock) >>> 0;
  let written = 0;
  for (let i = 0; i < layout.inodes && written < pages; i++) {
    const mapping = ((start + i) % layout.inodes) as Slot;
    if (mapping === 0 || cache.mappings.dirtyPagesOf(mapping) === 0) continue;
    // The next round begins behind this mapping, and threads that come meanwhile with it.
    Atomics.store(words, Header.WritebackClock, mapping + 1);
    written += yield* writeMapping(cache, task, mapping, pages - written);
  }
  return written;
}

/** The background thread: returns once Header.ServiceStop is set and Header.WritebackWork woken. */
export function* writebackLoop(cache: CacheParts, task: Task): Routine<void> {
  const { words } = cache.arena;
  let wanted = 0;
  while (Atomics.load(words, Header.ServiceStop) === 0) {
    const sequence = Atomics.load(words, Header.WritebackWork);
    const written = yield* backgroundPass(cache, task, wanted);
    wanted = 0;
    if (written > 0) continue;
    if (Atomics.load(words, Header.WritebackError) !== 0) yield task.wait(Header.ServiceStop, 0, INTERVAL_MS);
    else if ((yield task.wait(Header.WritebackWork, sequence, INTERVAL_MS)) === WOKEN) wanted = SHARE_PAGES;
  }
}

/**
 * Writes mappings back whole, those that expired and, while more than half the limit is dirty or fewer than `wanted` pages
 * were written, the others. Answers how many pages were written.
 */
export function* backgroundPass(cache: CacheParts, task: Task, wanted: number): Routine<number> {
  const { words, layout } = cache.arena;
  const half = dirtyLimitOf(cache) / 2;
  const start = Atomics.load(words, Header.WritebackClock) >>> 0;
  let written = 0;
  for (let i = 0; i < layout.inodes; i++) {
    const mapping = ((start + i) % layout.inodes) as Slot;
    if (mapping === 0 || cache.mappings.dirtyPagesOf(mapping) === 0) continue;
    const isTooMuch = Atomics.load(words, Header.PagesDirty) > half || written < wanted;
    if (!isTooMuch && !hasExpired(cache, task, mapping)) continue;
    Atomics.store(words, Header.WritebackClock, mapping + 1);
    written += yield* writeMapping(cache, task, mapping, Number.POSITIVE_INFINITY);
  }
  return written;
}

/** Asks the background thread to look. */
export function wakeBackground(task: Task): void {
  Atomics.add(task.words, Header.WritebackWork, 1);
  task.driver.wake(Header.WritebackWork, 1);
}

function* writeMapping(cache: CacheParts, task: Task, mapping: Slot, pages: number): Routine<number> {
  const end = Number.POSITIVE_INFINITY;
  const indices = cache.mappings.snapshot(task, mapping, 0, end, PageKind.Writable, pages);
  return (yield* writePages(cache, task, mapping, indices, false)).written;
}

function hasExpired(cache: CacheParts, task: Task, mapping: Slot): boolean {
  const since = cache.mappings.oldestDirtyOf(mapping);
  return since !== 0 && ((secondsOf(task) - since) | 0) * 1000 >= cache.limits.dirtyExpireMs;
}
