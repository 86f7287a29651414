/** Preallocation. */
import { unreachable } from '../assert.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Slot } from '../units.js';
import type { Engine } from './engine.js';

/** Gives every hole of the range blocks that read as zeros. Throws ENOSPC with nothing changed, EFBIG. */
export function* fallocate(
  _task: Task,
  _engine: Engine,
  _slot: Slot,
  _positionBytes: number,
  _lengthBytes: number,
  _keepSize: boolean,
): Routine<void> {
  return unreachable('not written');
}
