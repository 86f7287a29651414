/**
 * How the page cache reaches the owner of a mapping: where a page's content lies on the device, and what becomes of it.
 *
 * Two implementations: files (inode/file-mapping.ts) and the metadata mapping (journal/metadata.ts). All routines are
 * called with no leaf mutex held. `map` runs under the fill lock with the filled pages locked; `mapWrite` and
 * `completeWrite` run with the pages under writeback, which keeps both their extents and the mapping's slot: whoever
 * wants to change either must drop the pages first, and dropping waits for writeback.
 */

import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { PageIndex, Slot } from '../units.js';

export const enum RunKind {
  /** Nothing is allocated: reads as zeros. In `mapWrite`'s answer: blocks were claimed, and no extent names them yet. */
  Hole,
  /** Allocated, and the device holds the content. */
  Written,
  /** Allocated, reads as zeros. In `mapWrite`'s answer: the extent has to be converted once the write is done. */
  Unwritten,
}

/** Consecutive pages and the consecutive device blocks that hold them. Filled in by `map` and `mapWrite`. */
export class BlockRun {
  /** First device block; meaningless for a hole. */
  block = 0;
  /** Pages, at least 1 and at most what was asked for. */
  length = 0;
  kind: RunKind = RunKind.Hole;
  /** Set by writeback before `completeWrite`: how many of the pages hold a reservation of delayed allocation. */
  reserved = 0;
  /** Set by writeback before `completeWrite`, where `movesOnWrite`: a checksum of each page. */
  sums: Uint32Array | null = null;
}

export interface MappingOperations {
  /** Finds the run of at most `max` pages that starts at page `index`. */
  map(task: Task, mapping: Slot, index: number, max: number, run: BlockRun): Routine<void>;
  /** As `map`, for writing pages that have no block, or an unwritten one: chooses blocks where there are none. */
  mapWrite(task: Task, mapping: Slot, index: number, max: number, run: BlockRun): Routine<void>;
  /**
   * The data of a run of `mapWrite` are on the device: publishes extents and disk size, and consumes `run.reserved`
   * reservations. With `failed`, gives claimed blocks back instead, and the reservations stay.
   */
  completeWrite(task: Task, mapping: Slot, index: number, run: BlockRun, failed: boolean): Routine<void>;
  /** Dropped pages held this many reservations. */
  unreserve(task: Task, mapping: Slot, pages: number): void;
  /** Whether `verify` looks at anything; constant. */
  readonly verifies: boolean;
  /** Throws EUCLEAN, or EIO for data, unless the bytes just read are what block `block` may hold, as page `index`. */
  verify(task: Task, mapping: Slot, index: PageIndex, block: number, bytes: Uint8Array): Routine<void>;
  /** Whether `mapWrite` chooses new blocks for pages that have blocks already (moving.ts); constant. */
  readonly movesOnWrite: boolean;
  /** Where `movesOnWrite`: the checksum of a page's bytes. */
  checksum(mapping: Slot, bytes: Uint8Array): number;
}
