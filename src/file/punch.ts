/** Punching holes and zeroing ranges. */
import { unreachable } from '../assert.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Slot } from '../units.js';
import type { Engine } from './engine.js';

/** Makes the range read as zeros and gives its whole blocks back. The size stays. */
export function* punchHole(
  _task: Task,
  _engine: Engine,
  _slot: Slot,
  _positionBytes: number,
  _lengthBytes: number,
): Routine<void> {
  return unreachable('not written');
}

/** Makes the range read as zeros with its blocks allocated. Unless `keepSize`, the file grows to hold it. */
export function* zeroRange(
  _task: Task,
  _engine: Engine,
  _slot: Slot,
  _positionBytes: number,
  _lengthBytes: number,
  _keepSize: boolean,
): Routine<void> {
  return unreachable('not written');
}
