/** Writing. */
import { unreachable } from '../assert.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Slot } from '../units.js';
import type { Engine } from './engine.js';

/** As a position: at the end of the file, wherever that is when the write gets its lock. */
export const APPEND = -1;

/** Writes; returns the bytes written, fewer than `length` when space ran out after some. Throws ENOSPC, EFBIG, EIO. */
export function* write(
  _task: Task,
  _engine: Engine,
  _slot: Slot,
  _source: Uint8Array,
  _offset: number,
  _length: number,
  _positionBytes: number,
): Routine<number> {
  return unreachable('not written');
}
