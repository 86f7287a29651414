/**
 * Logical threads in one real thread, stepped by hand: an actor runs until its routine sleeps on a word whose value is
 * the expected one, and goes on when the test says so, provided that somebody woke the word: a change alone is not enough,
 * so that a wake-up left out shows.
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
  private sleepsOn = 0;
  /** Wake-ups that had happened when the actor went to sleep. */
  private wokenBefore = 0;

  constructor(
    private readonly arena: Arena,
    private readonly driver: ManualDriver,
  ) {
    this.task = attachThread(arena, driver);
  }

  /** Starts the routine and answers whether it ran to its end. */
  start(routine: Routine<unknown>): boolean {
    if (this.routine !== null) throw new Error('this actor is busy');
    this.routine = routine;
    return this.go();
  }

  /** Lets the routine go on if it was woken; answers whether it ended. */
  go(): boolean {
    while (this.routine !== null && !this.sleeps()) {
      const step = this.routine.next(WOKEN);
      if (step.done === true) this.routine = null;
      this.sleepsOn = step.done === true ? 0 : this.wordToSleepOn(step.value);
      this.wokenBefore = this.driver.woken.length;
    }
    return this.routine === null;
  }

  /** Throws into the routine where it sleeps. */
  fail(error: Error): void {
    this.routine?.throw(error);
    this.routine = null;
  }

  private sleeps(): boolean {
    return this.sleepsOn !== 0 && !this.driver.woken.includes(this.sleepsOn, this.wokenBefore);
  }

  private wordToSleepOn({ kind, word, expected }: Effect): number {
    return kind === EffectKind.Wait && this.arena.words[word] === expected ? word : 0;
  }

  get isAsleep(): boolean {
    return this.routine !== null;
  }
}
