/** Collapsing and inserting ranges. */
import { unreachable } from '../assert.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Slot } from '../units.js';
import type { Engine } from './engine.js';

/** Removes the range and moves what follows down. Throws EINVAL when unaligned, or when it reaches the end of the file. */
export function* collapseRange(
  _task: Task,
  _engine: Engine,
  _slot: Slot,
  _positionBytes: number,
  _lengthBytes: number,
): Routine<void> {
  return unreachable('not written');
}

/** Makes room for a hole and moves what follows up. Throws EINVAL when unaligned or past the end, EFBIG. */
export function* insertRange(
  _task: Task,
  _engine: Engine,
  _slot: Slot,
  _positionBytes: number,
  _lengthBytes: number,
): Routine<void> {
  return unreachable('not written');
}
