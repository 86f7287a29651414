/**
 * Blocks of the device: promised, claimed, published, freed, quarantined, released.
 */
import { unreachable } from '../assert.js';
import type { DurableListener } from '../journal/journal.js';
import type { Metadata } from '../journal/metadata.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';

/** Credits: metadata blocks that one call may dirty. */
export const CLAIM_CREDITS = 1;
export const PUBLISH_CREDITS = 1;
export const FREE_CREDITS = 1;
export const ALLOCATE_METADATA_CREDITS = 2;

/** A run of blocks, reused by its owner. */
export class ClaimedRun {
  start = 0;
  length = 0;
}

/** Prepares the allocator's locks and records. Called once, by the opening thread, before any other use. */
export function initAllocator(_arena: Arena): void {}

export class Allocator implements DurableListener {
  constructor(readonly metadata: Metadata) {}

  /** Promises `pages` blocks to delayed allocation. False: not enough; see `reserveWaiting`. Hot. */
  reserve(_task: Task, _pages: number): boolean {
    return unreachable('not written yet');
  }

  /** `reserve`, committing while freed blocks wait for durability. False is ENOSPC. The caller has no handle. */
  *reserveWaiting(_task: Task, _pages: number): Routine<boolean> {
    return unreachable('not written yet');
  }

  unreserve(_task: Task, _pages: number): void {
    unreachable('not written yet');
  }

  /**
   * Picks up to `length` free blocks, next to `goal` where possible, and keeps everybody else off them until `publish` or
   * `unclaim`. The blocks have been promised to the caller by `reserve`. Often shorter than asked: loop. Throws ENOSPC.
   */
  *claim(_task: Task, _goal: number, _length: number, _run: ClaimedRun): Routine<void> {
    unreachable('not written yet');
  }

  /** Gives back claimed blocks that were not published. They stay promised. */
  unclaim(_task: Task, _start: number, _length: number): void {
    unreachable('not written yet');
  }

  /** Inside a handle: makes claimed blocks (all of a claim, or part) allocated, and takes back `reservedPages` promises. */
  *publish(_task: Task, _start: number, _length: number, _reservedPages: number): Routine<void> {
    unreachable('not written yet');
  }

  /** Inside a handle: allocates one block near `goal`. Throws ENOSPC. */
  *allocateMetadata(_task: Task, _goal: number): Routine<number> {
    return unreachable('not written yet');
  }

  /** Inside a handle: frees allocated blocks of one group; they are not reusable before the transaction is durable. */
  *free(_task: Task, _start: number, _length: number): Routine<void> {
    unreachable('not written yet');
  }

  /** Discards and releases what durable transactions freed. Called by commits. */
  *releaseQuarantine(_task: Task): Routine<void> {
    unreachable('not written yet');
  }
}
