/** Pinned pages: zero-copy windows on the cache. */
import { unreachable } from '../assert.js';
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Frame, Slot } from '../units.js';
import type { Engine } from './engine.js';

/** One pin of one page. The public `PinnedPage` wraps it. */
export interface PagePin {
  readonly slot: Slot;
  readonly frame: Frame;
  /** Number of its record in the arena. */
  readonly record: number;
  /** The whole page. */
  readonly bytes: Uint8Array;
  /** Where the page starts in the file. */
  readonly positionBytes: number;
  readonly write: boolean;
}

/** Pins the page that holds `positionBytes`. Throws ENXIO past the end, ENOMEM at too many pins, ENOSPC, EIO. */
export function* pin(
  _task: Task,
  _engine: Engine,
  _slot: Slot,
  _positionBytes: number,
  _write: boolean,
): Routine<PagePin> {
  return unreachable('not written');
}

/** Whether the page is still the file's: false from a punch or truncation of it on. */
export function isCurrent(_engine: Engine, _pin: PagePin): boolean {
  return unreachable('not written');
}

/** Gives the pin back, once. A write pin's page becomes dirty, unless it was detached meanwhile. */
export function* releasePin(_task: Task, _engine: Engine, _pin: PagePin): Routine<void> {
  return unreachable('not written');
}
