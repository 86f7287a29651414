/**
 * The metadata mapping: device blocks as pages of mapping 0, index = block number.
 */
import { unreachable } from '../assert.js';
import type { BlockRun, MappingOperations } from '../pagecache/mapping-operations.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Frame, Slot } from '../units.js';
import type { Journal } from './journal.js';

export class Metadata implements MappingOperations {
  constructor(readonly journal: Journal) {}

  /** The pinned page of a cached block of that kind, or 0: then use `get`. Hot. */
  tryGet(_task: Task, _block: number, _kind: number): Frame {
    return unreachable('not written yet');
  }

  /** The block's page, pinned, verified. Throws EUCLEAN naming the structure and the block. */
  *get(_task: Task, _block: number, _kind: number): Routine<Frame> {
    return unreachable('not written yet');
  }

  /** A fresh zeroed page with a block header, for a block just allocated; pinned, and in the running transaction. */
  *create(_task: Task, _block: number, _kind: number, _owner: number): Routine<Frame> {
    return unreachable('not written yet');
  }

  put(_frame: Frame): void {
    unreachable('not written yet');
  }

  /** Drops the page of a block that is being freed: it leaves the running transaction unwritten. */
  *forget(_task: Task, _block: number): Routine<void> {
    unreachable('not written yet');
  }

  *map(_task: Task, _mapping: Slot, _index: number, _max: number, _run: BlockRun): Routine<void> {
    unreachable('not written yet');
  }

  *mapWrite(_task: Task, _mapping: Slot, _index: number, _max: number, _run: BlockRun): Routine<void> {
    unreachable('not written yet');
  }

  *completeWrite(_task: Task, _mapping: Slot, _index: number, _run: BlockRun, _error: boolean): Routine<void> {
    unreachable('not written yet');
  }

  unreserve(_task: Task, _mapping: Slot, _pages: number): void {
    unreachable('not written yet');
  }

  verify(_bytes: Uint8Array, _block: number): void {
    unreachable('not written yet');
  }
}
