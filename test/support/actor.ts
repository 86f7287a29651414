/**
 * Logical threads in one real thread, stepped by hand: an actor runs until its routine sleeps on a word whose value is
 * the expected one, and goes on when the test says so and the word has changed or was woken.
 */
import { type Effect, EffectKind, type Routine, WOKEN } from '#dist/src/routine/effect.js';
import type { Driver, Task } from '#dist/src/routine/task.js';
import type { Arena } from '#dist/src/sync/arena.js';
import { attachThread } from '#dist/src/sync/threads.js';

/** A driver whose clock stands still until it is set, and which remembers the wake-ups. */
export class ManualDriver implements Driver {
  nowMs = 1000;
  readonly woken: number[] = [];
  now(): number {
    return this.nowMs;
  }
  random(): number {
    return 0.5;
  }
  wake(word: number): void {
    this.woken.push(word);
  }
}

export class Actor {
  readonly task: Task;
  private routine: Routine<unknown> | null = null;
  private effect: Effect | null = null;

  constructor(
    private readonly arena: Arena,
    driver: Driver,
  ) {
    this.task = attachThread(arena, driver);
  }

  /** Starts the routine and answers whether it ran to its end. */
  start(routine: Routine<unknown>): boolean {
    if (this.routine !== null) throw new Error('this actor is busy');
    this.routine = routine;
    return this.go();
  }

  /** Lets the routine go on, unless the word it sleeps on says that it should not; answers whether it ended. */
  go(): boolean {
    while (this.routine !== null) {
      if (this.effect?.kind === EffectKind.Wait && this.arena.words[this.effect.word] === this.effect.expected) break;
      const step = this.routine.next(WOKEN);
      if (step.done === true) this.routine = null;
      this.effect = step.done === true ? null : step.value;
    }
    return this.routine === null;
  }

  /** Throws into the routine where it sleeps. */
  fail(error: Error): void {
    this.routine?.throw(error);
    this.routine = null;
  }

  get isAsleep(): boolean {
    return this.routine !== null;
  }
}
