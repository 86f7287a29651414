/**
 * A logical thread: a generator of the engine, its task, and what it waits for.
 *
 * A step is what lies between two yields. A device I/O is two more: the transfer, at any moment while the thread waits for
 * it, and the going on.
 */
import type { Effect, Routine } from '../routine/effect.js';
import type { Actor } from './world.js';

export const enum ThreadState {
  /** May take its next step. */
  Ready,
  /** Its I/O is in the air: its next step is the transfer. */
  InFlight,
  /** Sleeps on a word. */
  Asleep,
  Done,
  /** Ended at a yield, with whatever it held. */
  Dead,
}

export class LogicalThread {
  state: ThreadState = ThreadState.Ready;
  /** What it yielded last; its task's own object. */
  effect: Effect | null = null;
  answer = 0;
  error: unknown = undefined;
  /** While asleep: the word, and when it wakes by itself. */
  word = 0;
  wakesAtMs = Number.POSITIVE_INFINITY;
  /** The lock in whose queue it sleeps, or slept last (bypasses.ts), since which step, and what it saw meanwhile. */
  queue = 0;
  queuedAt = 0;
  generation = 0;
  passes = 0;
  vainWakes = 0;
  /** The locks that it held after its last step. */
  readonly held: number[] = [];

  constructor(
    readonly index: number,
    readonly name: string,
    readonly actor: Actor,
    readonly routine: Routine<void>,
    /** The inode that it is busy with, or 0. */
    readonly inode: () => number,
  ) {}

  get isOver(): boolean {
    return this.state === ThreadState.Done || this.state === ThreadState.Dead;
  }
}
