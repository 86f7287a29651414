/** Reading. */
import { unreachable } from '../assert.js';
import type { ReadaheadState } from '../pagecache/readahead.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Slot } from '../units.js';
import type { Engine } from './engine.js';

/** Copies up to `length` bytes at `positionBytes` into `target`; returns how many, 0 at or past the end. */
export function* read(
  _task: Task,
  _engine: Engine,
  _slot: Slot,
  _readahead: ReadaheadState | null,
  _target: Uint8Array,
  _offset: number,
  _length: number,
  _positionBytes: number,
): Routine<number> {
  return unreachable('not written');
}
