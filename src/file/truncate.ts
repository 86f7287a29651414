/** Truncation. */
import { unreachable } from '../assert.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Slot } from '../units.js';
import type { Engine } from './engine.js';

/** Sets the size, down or up. Throws EFBIG. */
export function* truncate(_task: Task, _engine: Engine, _slot: Slot, _sizeBytes: number): Routine<void> {
  return unreachable('not written');
}
