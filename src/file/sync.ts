/** Making a file durable, and telling each open file of writeback's errors once. */
import { unreachable } from '../assert.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import type { Slot } from '../units.js';
import type { Engine } from './engine.js';

/** What an open file has been told of its inode's writeback errors (Linux's errseq_t cursor). One per open file. */
export class ErrorCursor {
  sequence: number;

  constructor(_arena: Arena, _slot: Slot) {
    this.sequence = 0;
  }
}

/** Data, size and times durable. Throws the errors of writeback since this cursor's last call. */
export function* sync(_task: Task, _engine: Engine, _slot: Slot, _cursor: ErrorCursor): Routine<void> {
  return unreachable('not written');
}

/** As `sync`, but times need not be. */
export function* datasync(_task: Task, _engine: Engine, _slot: Slot, _cursor: ErrorCursor): Routine<void> {
  return unreachable('not written');
}
