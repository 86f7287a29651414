/**
 * Dropping pages: Linux's truncate_inode_pages, on whole pages.
 *
 * Any thread that excludes fills, writers and page creation in the range, by the locks that its scheme names; the caller
 * asserts them. Locks the pages of the range one after the other, and waits for their writeback with the lock held. Dirty
 * content is lost. Whoever has a page pinned keeps its content, detached; the last unpin frees the frame.
 */
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import { invalidationChannel, publishInvalidation } from '../sync/channels.js';
import { Page } from '../sync/layout.js';
import { Count, count } from '../sync/statistics.js';
import type { Frame, Slot } from '../units.js';
import type { CacheParts } from './cache-parts.js';
import { PageKind } from './mapping.js';
import { PageFlag } from './page.js';

/** How long to let an evictor get on that is taking one of the pages out. */
const EVICTOR_MS = 1;

/** Drops the mapping's pages in [first, end). On return none is cached or on a list of the mapping. */
export function* drop(cache: CacheParts, task: Task, mapping: Slot, first: number, end: number): Routine<void> {
  const { lookup, mappings } = cache;
  let reserved = 0;
  try {
    if (end - first <= mappings.pagesOf(mapping)) {
      for (let index = first; index < end; index++) {
        const frame = lookup.lookup(task, mapping, index);
        if (frame !== 0) reserved += yield* dropPage(cache, task, mapping, frame, index);
      }
      return;
    }
    for (;;) {
      const indices = mappings.snapshot(task, mapping, first, end, PageKind.Cached, Number.POSITIVE_INFINITY);
      if (indices.length === 0) return;
      let dropped = 0;
      for (let i = 0; i < indices.length; i++) {
        const frame = lookup.lookup(task, mapping, indices[i]);
        if (frame === 0) continue;
        dropped++;
        reserved += yield* dropPage(cache, task, mapping, frame, indices[i]);
      }
      // What was listed and not found is being evicted; the mapping's slot must not be reused before it is off the list.
      if (dropped === 0) yield task.pause(EVICTOR_MS);
    }
  } finally {
    if (reserved > 0) cache.operationsOf(mapping).unreserve(task, mapping, reserved);
    if (invalidationChannel.hasSubscribers) publishInvalidation(cache.arena, mapping, first, end);
  }
}

/**
 * Evicts the mapping's pages in [first, end) that are clean and that nobody is using: Linux's invalidate_mapping_pages. It
 * loses nothing, so it needs no lock.
 */
export function evictRange(cache: CacheParts, task: Task, mapping: Slot, first: number, end: number): void {
  const indices = cache.mappings.snapshot(task, mapping, first, end, PageKind.Cached, Number.POSITIVE_INFINITY);
  for (let i = 0; i < indices.length; i++) {
    const frame = cache.lookup.find(mapping, indices[i]);
    if (frame !== 0) cache.reclaim.evictPinned(task, frame);
  }
}

/** Drops one pinned page, and the pin; answers how many reservations it held. */
function* dropPage(cache: CacheParts, task: Task, mapping: Slot, frame: Frame, index: number): Routine<number> {
  const { locks, lookup } = cache;
  let reserved = 0;
  try {
    if (task.yieldsAtLocks || !locks.tryLock(task, frame)) yield* locks.lock(task, frame);
    try {
      yield* locks.waitWriteback(task, frame);
      reserved = detach(cache, task, mapping, frame, index);
    } finally {
      locks.unlock(task, frame);
    }
  } finally {
    lookup.unpin(frame);
  }
  return reserved;
}

/**
 * Takes a page that the caller has locked and pinned out of the cache; answers how many reservations it held, which are the
 * caller's to give back. Does nothing if the page is detached already.
 */
export function detach(cache: CacheParts, task: Task, mapping: Slot, frame: Frame, index: number): number {
  const old = cache.lookup.detach(task, frame, mapping, index);
  if (old === 0) return 0;
  cache.mappings.remove(task, mapping, frame);
  cache.reclaim.dequeue(task, frame);
  cache.arena.words[cache.arena.layout.pageRecords + frame * Page.Words + Page.Block] = 0;
  if ((old & PageFlag.Prefetched) !== 0) count(task, Count.ReadaheadWasted);
  return (old & PageFlag.Reserved) !== 0 ? 1 : 0;
}
