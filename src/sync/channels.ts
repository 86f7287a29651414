/**
 * What happens inside a store, for whoever subscribes with `node:diagnostics_channel`: fills, invalidations, commits, waits for
 * locks. Hits are none of these.
 *
 * 1. An event is published on the thread on which it happens, and a subscriber hears its own thread only.
 * 2. Without a subscriber it is a look at a property, once on a path that has slept, read the device or dropped pages.
 * 3. The publisher may hold locks of the store: a subscriber must not call the store.
 */
import { type Channel, channel } from 'node:diagnostics_channel';
import type { Arena } from './arena.js';
import { Inode } from './layout.js';
import { LOCK_RANK_NAMES } from './lockdep.js';

/** Pages were brought into the cache from the device, or as zeros where nothing is stored. */
export interface FillEvent {
  /** The store's device, as it was given to `openStore`. */
  device: string;
  /** The file's inode number; 0 for the store's own metadata. */
  ino: number;
  firstPage: number;
  pages: number;
}

/** A punch, truncation, shift or removal has thrown the pages [firstPage, endPage) out of the cache, as many as were there. */
export interface InvalidationEvent {
  device: string;
  ino: number;
  firstPage: number;
  endPage: number;
}

/** A transaction has become durable. */
export interface CommitEvent {
  device: string;
  transaction: number;
  /** Metadata blocks in it. */
  blocks: number;
  /** From the end of its last operation to the end of the flush. */
  ms: number;
}

/** A lock was not free, and is now had; or a page that somebody else had locked no longer is. */
export interface LockWaitEvent {
  device: string;
  /** The kind of lock, as in `stats().locks`. */
  lock: string;
  ms: number;
}

export const fillChannel: Channel = channel('emmental:fill');
export const invalidationChannel: Channel = channel('emmental:invalidation');
export const commitChannel: Channel = channel('emmental:commit');
export const lockWaitChannel: Channel = channel('emmental:lock-wait');

export function publishFill(arena: Arena, mapping: number, firstPage: number, pages: number): void {
  fillChannel.publish({ device: arena.path, ino: inoOf(arena, mapping), firstPage, pages } satisfies FillEvent);
}

export function publishInvalidation(arena: Arena, mapping: number, firstPage: number, endPage: number): void {
  const event = { device: arena.path, ino: inoOf(arena, mapping), firstPage, endPage };
  invalidationChannel.publish(event satisfies InvalidationEvent);
}

export function publishCommit({ path: device }: Arena, transaction: number, blocks: number, ms: number): void {
  commitChannel.publish({ device, transaction, blocks, ms } satisfies CommitEvent);
}

export function publishLockWait({ path: device }: Arena, rank: number, ms: number): void {
  lockWaitChannel.publish({ device, lock: LOCK_RANK_NAMES[rank], ms } satisfies LockWaitEvent);
}

function inoOf({ layout, unsigned }: Arena, mapping: number): number {
  return unsigned[layout.inodeRecords + mapping * Inode.Words + Inode.Ino];
}
