/** Filling the cache before it is asked for, and emptying it. */
import { unreachable } from '../assert.js';
import type { ReadaheadState } from '../pagecache/readahead.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Slot } from '../units.js';
import type { Engine } from './engine.js';

export type Advice = 'normal' | 'sequential' | 'random' | 'willneed' | 'dontneed';

/** Reads a window ahead: what `engine.requestReadahead` asks for, run by a service thread. Errors are dropped. */
export function* readAhead(
  _task: Task,
  _engine: Engine,
  _slot: Slot,
  _first: number,
  _count: number,
  _marker: number,
): Routine<void> {
  return unreachable('not written');
}

/** posix_fadvise. A length of 0 means to the end. */
export function* advise(
  _task: Task,
  _engine: Engine,
  _slot: Slot,
  _readahead: ReadaheadState,
  _advice: Advice,
  _positionBytes: number,
  _lengthBytes: number,
): Routine<void> {
  return unreachable('not written');
}
