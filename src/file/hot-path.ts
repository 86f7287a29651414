/** The hits: reads and writes of cached pages, without a generator, an allocation or a sleep. */
import { unreachable } from '../assert.js';
import type { Task } from '../routine/task.js';
import type { Slot } from '../units.js';
import type { Engine } from './engine.js';

/** One per thread. */
export class HotPath {
  constructor(readonly engine: Engine) {}

  /**
   * Reads what is cached. Returns the bytes read, which may be fewer than asked for (the caller goes on with the slow
   * path, which returns 0 at the end of the file), or -1 when nothing could be read without sleeping.
   */
  readHit(
    _task: Task,
    _slot: Slot,
    _target: Uint8Array,
    _targetOffset: number,
    _length: number,
    _positionBytes: number,
  ): number {
    return unreachable('not written');
  }

  /** Writes all of it into cached pages and returns `length`, or does nothing and returns -1. */
  writeHit(
    _task: Task,
    _slot: Slot,
    _source: Uint8Array,
    _sourceOffset: number,
    _length: number,
    _positionBytes: number,
  ): number {
    return unreachable('not written');
  }
}
