/**
 * The running transaction: handles, credits, and group commit. Any thread may call any of it.
 */
import { unreachable } from '../assert.js';
import type { Device } from '../device/device.js';
import type { PageCache } from '../pagecache/page-cache.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import type { Frame } from '../units.js';

/** Told when a transaction is durable, by the thread that committed it, which holds no lock then. */
export interface DurableListener {
  releaseQuarantine(task: Task): Routine<void>;
}

/** Prepares the journal's words and locks. Called once, by the opening thread, before any other use. */
export function initJournal(_arena: Arena, _lastTransaction: number): void {}

export class Journal {
  listener: DurableListener | null = null;

  constructor(
    readonly arena: Arena,
    readonly cache: PageCache,
    readonly device: Device,
    /** Memory that O_DIRECT takes, shared by all threads; holds one transaction's blocks and the two superblocks. */
    readonly buffer: SharedArrayBuffer,
  ) {}

  /** Loads and pins the superblock's page for as long as the store is open. Opening thread, once, before any handle. */
  *start(_task: Task): Routine<void> {
    unreachable('not written yet');
  }

  /** Opens a handle that may dirty up to `credits` metadata blocks and make as many calls of `free`. Nested calls only deepen. */
  *begin(_task: Task, _credits: number): Routine<void> {
    unreachable('not written yet');
  }

  /** `begin` where nothing needs waiting for. */
  tryBegin(_task: Task, _credits: number): boolean {
    return unreachable('not written yet');
  }

  end(_task: Task): void {
    unreachable('not written yet');
  }

  /** Makes a pinned metadata page part of the running transaction. Call it before or after the change, inside the handle. */
  dirty(_task: Task, _frame: Frame): void {
    unreachable('not written yet');
  }

  /**
   * On return, what ended handles changed and what was written to the device before the call is durable. Concurrent
   * callers share one commit. Throws EIO once a commit has failed.
   */
  *commit(_task: Task): Routine<void> {
    unreachable('not written yet');
  }

  /** The pinned superblock page (block 0), for `dirty` inside a handle. */
  superblockFrame(): Frame {
    return unreachable('not written yet');
  }

  /** Commits everything, then marks the store clean on the device. No handle may follow. */
  *close(_task: Task): Routine<void> {
    unreachable('not written yet');
  }

  /** Sleeps until somebody wants a commit in the background, or the time is over. For the service thread. */
  *waitWanted(_task: Task, _timeoutMs: number): Routine<boolean> {
    return unreachable('not written yet');
  }

  running(): number {
    return unreachable('not written yet');
  }

  durable(): number {
    return unreachable('not written yet');
  }
}
