/**
 * How much may be dirty: background writeback, and the throttling of writers.
 *
 * Writers call `balanceDirty` before they take any lock; above the limit they write pages back themselves, or wait for who
 * does. One service thread keeps calling `BackgroundWriteback.pass`; it starts at half the limit, and on pages that have
 * been dirty too long.
 * Both count pages under writeback as dirty, as these hold their frames just as long. Takes no lock but those of writeback.
 *
 * Once writing fails, writers above the limit get the error, and the background thread waits before it tries again: nobody
 * spins on a device that takes no more writes.
 */
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { Header } from '../sync/layout.js';
import { Count, count } from '../sync/statistics.js';
import type { Slot } from '../units.js';
import type { CacheParts } from './cache-parts.js';
import { PageKind, secondsOf } from './mapping.js';
import { writebackError, writePages } from './writeback.js';

/** Pages that a throttled writer, or one short of frames, writes back at a time. */
const SHARE_PAGES = 256;
/** Pages that the background thread writes between looks at its other duties. */
const CHUNK_PAGES = 2048;
/** How long it lets a device alone that took no write. */
const RETRY_MS = 1000;
const THROTTLE_MS = 100;
/** This part of the cache is never all dirty, whatever was asked for: metadata need frames while data are written. */
const CLEAN_SHARE = 8;
const NO_INDICES = new Uint32Array(0);

export function dirtyLimitOf(cache: CacheParts): number {
  const { frames } = cache.frames;
  return Math.max(1, Math.floor(Math.min(frames * cache.limits.dirtyRatio, frames - frames / CLEAN_SHARE)));
}

/** Makes a writer wait while too much is dirty. Throws the error when nothing can be written. Holds no lock, no handle. */
export function* balanceDirty(cache: CacheParts, task: Task): Routine<void> {
  const { words } = cache.arena;
  const limit = dirtyLimitOf(cache);
  if (Atomics.load(words, Header.PagesDirty) * 2 <= limit) return;
  wakeBackground(task);
  callForHelp(cache, task);
  if (Atomics.load(words, Header.PagesDirty) <= limit) return;
  count(task, Count.Throttles);
  for (;;) {
    const sequence = Atomics.load(words, Header.WritebackWait);
    if (Atomics.load(words, Header.PagesDirty) <= limit) return;
    if ((yield* writeSome(cache, task, SHARE_PAGES)) > 0) continue;
    const errno = Atomics.load(words, Header.WritebackError);
    if (errno !== 0) throw writebackError(cache, errno);
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
    const indices = writableOf(cache, task, mapping, pages - written);
    written += (yield* writePages(cache, task, mapping, indices, false)).written;
  }
  return written;
}

/**
 * What the background thread still has to write of the mapping it is at. One per thread; it hands back the thread after
 * each CHUNK_PAGES, so that the thread's other duties do not wait for a large file.
 */
export class BackgroundWriteback {
  private mapping = 0 as Slot;
  private indices: Uint32Array = NO_INDICES;
  private notBefore = 0;

  /**
   * Writes the next chunk, if more than half the limit is dirty, or pages have been dirty too long, or somebody waits for
   * frames. Mappings are written whole, one after the other. Answers how many pages were written; 0 for some time after
   * an error.
   */
  *pass(cache: CacheParts, task: Task): Routine<number> {
    if (this.notBefore > task.driver.now()) return 0;
    if (this.indices.length === 0) this.choose(cache, task);
    const { mapping, indices } = this;
    if (indices.length === 0) return 0;
    this.indices = indices.subarray(Math.min(indices.length, CHUNK_PAGES));
    const result = yield* writePages(cache, task, mapping, indices.subarray(0, CHUNK_PAGES), false);
    if (result.error !== null) {
      this.indices = NO_INDICES;
      this.notBefore = task.driver.now() + RETRY_MS;
    }
    return result.written;
  }

  private choose(cache: CacheParts, task: Task): void {
    const { words, layout } = cache.arena;
    const isWanted = Atomics.exchange(words, Header.FramesWanted, 0) !== 0;
    if (Atomics.load(words, Header.PagesDirty) === 0) return;
    const isTooMuch = isWanted || Atomics.load(words, Header.PagesDirty) * 2 > dirtyLimitOf(cache);
    const start = Atomics.load(words, Header.WritebackClock) >>> 0;
    for (let i = 0; i < layout.inodes; i++) {
      const mapping = ((start + i) % layout.inodes) as Slot;
      if (mapping === 0 || cache.mappings.dirtyPagesOf(mapping) === 0) continue;
      if (!isTooMuch && !hasExpired(cache, task, mapping)) continue;
      const indices = writableOf(cache, task, mapping, Number.POSITIVE_INFINITY);
      if (indices.length === 0) continue;
      Atomics.store(words, Header.WritebackClock, mapping + 1);
      this.mapping = mapping;
      this.indices = indices;
      return;
    }
  }
}

/** Asks the background thread to look. */
export function wakeBackground(task: Task): void {
  Atomics.add(task.words, Header.WritebackWork, 1);
  task.driver.wake(Header.WritebackWork, 1);
}

/** Whether the background thread alone does not keep up with the writers. */
export function isFarBehind(cache: CacheParts): boolean {
  return Atomics.load(cache.arena.words, Header.PagesDirty) * 4 > dirtyLimitOf(cache) * 3;
}

/** Asks threads that have nothing else to do for their help, where the background thread needs it. */
function callForHelp(cache: CacheParts, task: Task): void {
  if (!isFarBehind(cache)) return;
  Atomics.add(task.words, Header.ServiceWork, 1);
  task.driver.wake(Header.ServiceWork, 1);
}

function writableOf(cache: CacheParts, task: Task, mapping: Slot, pages: number): Uint32Array {
  return cache.mappings.snapshot(task, mapping, 0, Number.POSITIVE_INFINITY, PageKind.Writable, pages);
}

function hasExpired(cache: CacheParts, task: Task, mapping: Slot): boolean {
  const since = cache.mappings.oldestDirtyOf(mapping);
  return since !== 0 && ((secondsOf(task) - since) | 0) * 1000 >= cache.limits.dirtyExpireMs;
}
