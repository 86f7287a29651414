/**
 * Letting callers share a commit: whoever is about to commit waits a little for those that shared the last one.
 *
 * Threads that sync in a loop all return when a commit ends. The first to come back would commit alone, and the others
 * wait for it and then share the next one: two commits where one would do. So the committer waits until as many have
 * called as since the snapshot before the last one, at most for as long as a commit takes on average (jbd2 does so, by
 * the clock alone). A thread that syncs alone waits for nobody.
 *
 * 1. Callers are counted and never uncounted, so that one who died while he waited is not waited for again.
 * 2. Words under the Commit mutex, but for the count of callers. The committer is woken once, by the caller who makes the
 *    number full: who counts himself before he looks for Gathers, while it is set before the callers are looked at. And
 *    the wait is bounded.
 */
import type { Routine } from '../routine/effect.js';
import type { Task } from '../routine/task.js';
import type { Arena } from '../sync/arena.js';
import { Journal as Word } from '../sync/layout.js';

const WAIT_MS_MAX = 2;
const MICROSECONDS = 1000;
/** The last commit counts one part in so many. */
const AVERAGE_OVER = 4;

export class Gathering {
  private readonly words: Int32Array;
  private readonly at: number;
  private beganMs = 0;

  constructor(arena: Arena) {
    this.words = arena.words;
    this.at = arena.layout.journal;
  }

  /** Somebody wants a commit. */
  arrive(task: Task): void {
    const { words, at } = this;
    Atomics.add(words, at + Word.Callers, 1);
    if (Atomics.load(words, at + Word.Gathers) === 0 || this.waiting() < words[at + Word.CallersExpected]) return;
    task.driver.wake(at + Word.Callers, 1);
  }

  /** By the committer, before it stops handles. */
  *gather(task: Task): Routine<void> {
    const { words, at } = this;
    const expected = words[at + Word.CallersExpected];
    if (expected > 1 && this.waiting() < expected) {
      const end = task.driver.now() + Math.min(WAIT_MS_MAX, words[at + Word.CommitMicroseconds] / MICROSECONDS);
      Atomics.store(words, at + Word.Gathers, 1);
      for (;;) {
        const callers = Atomics.load(words, at + Word.Callers);
        const left = end - task.driver.now();
        if (this.waiting() >= expected || left <= 0) break;
        yield task.wait(at + Word.Callers, callers, left);
      }
      Atomics.store(words, at + Word.Gathers, 0);
    }
    this.beganMs = task.driver.now();
  }

  /** No handle is open: who has called by now shares this commit. */
  close(): void {
    const { words, at } = this;
    words[at + Word.CallersExpected] = this.waiting();
    words[at + Word.CallersShared] = Atomics.load(words, at + Word.Callers);
  }

  /** The commit is over. */
  end(task: Task): void {
    const { words, at } = this;
    const took = (task.driver.now() - this.beganMs) * MICROSECONDS;
    const average = words[at + Word.CommitMicroseconds];
    words[at + Word.CommitMicroseconds] = average === 0 ? took : average + (took - average) / AVERAGE_OVER;
  }

  /** Callers since the last snapshot. */
  private waiting(): number {
    return (Atomics.load(this.words, this.at + Word.Callers) - this.words[this.at + Word.CallersShared]) | 0;
  }
}
