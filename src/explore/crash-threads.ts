/**
 * Several threads on one store, in one real thread: each yields at every effect, chance says who goes on, and I/O takes
 * its time, so that writes and flushes of different threads are under way at once. The same seed gives the same run.
 *
 * 1. A transfer is recorded as begun when its effect is yielded, and is complete some steps later; only then does its task
 *    go on. Reads are made at once.
 * 2. A sleeper goes on when it is woken, or when time passes because everybody sleeps. Nobody left to wake is an error.
 */
import { type Effect, EffectKind, IoKind, type Routine, TIMED_OUT, WOKEN } from '../routine/effect.js';
import type { Driver, Task } from '../routine/task.js';
import type { CrashRandom } from './crash-random.js';
import { type DeviceLog, RecordKind } from './recording-device.js';

/** How many steps of others a transfer may take. */
const TRANSFER_STEPS_MAX = 12;

interface Thread {
  task: Task;
  routine: Routine<void>;
  answer: number;
  error: unknown;
  /** The word that it waits on, or -1. */
  sleepsOn: number;
  wakesAtMs: number;
  /** Steps until its transfer is complete; 0 when it has none. */
  stepsLeft: number;
  complete: (() => void) | null;
}

export class CrashThreads implements Driver {
  nowMs = 1_800_000_000_000;
  private threads: Thread[] = [];

  constructor(
    private readonly chance: CrashRandom,
    private readonly log: DeviceLog,
  ) {}

  now(): number {
    return this.nowMs;
  }

  random(): number {
    return this.chance.unit();
  }

  wake(word: number, count: number): void {
    let left = count;
    for (const thread of this.threads) {
      if (left <= 0) return;
      if (thread.sleepsOn !== word) continue;
      thread.sleepsOn = -1;
      thread.answer = WOKEN;
      left -= 1;
    }
  }

  spawn(task: Task, routine: Routine<void>): void {
    this.threads.push({
      task,
      routine,
      answer: 0,
      error: undefined,
      sleepsOn: -1,
      wakesAtMs: 0,
      stepsLeft: 0,
      complete: null,
    });
  }

  /** Runs all threads to their ends, or until `steps` steps are made. Throws the first error. */
  run(steps: number): void {
    for (let step = 0; step < steps && this.threads.length > 0; step++) {
      const ready = this.threads.filter((thread) => thread.sleepsOn < 0);
      if (ready.length > 0) this.step(this.chance.of(ready));
      else this.passTime();
    }
    this.threads = [];
  }

  private step(thread: Thread): void {
    if (thread.stepsLeft > 0) {
      thread.stepsLeft -= 1;
      if (thread.stepsLeft > 0) return;
      thread.complete!();
    }
    const { error, routine } = thread;
    thread.error = undefined;
    const next = error === undefined ? routine.next(thread.answer) : routine.throw(error);
    if (next.done === true) this.threads = this.threads.filter((other) => other !== thread);
    else this.perform(thread, next.value);
  }

  private perform(thread: Thread, effect: Effect): void {
    thread.answer = 0;
    if (effect.kind === EffectKind.Wait) {
      if (thread.task.words[effect.word] !== effect.expected) return;
      thread.sleepsOn = effect.word;
      thread.wakesAtMs = this.nowMs + effect.timeoutMs;
    } else if (effect.kind === EffectKind.Io) {
      try {
        this.transfer(thread, effect);
      } catch (error) {
        thread.error = error;
      }
    }
  }

  /** The log is kept here, not by a recording device, since beginning and end are steps of their own. */
  private transfer(thread: Thread, effect: Effect): void {
    const { io, buffers, positionBytes, lengthBytes } = effect;
    const device = effect.device!;
    const { log } = this;
    if (io === IoKind.Read) {
      thread.answer = device.read(buffers, positionBytes);
      return;
    }
    if (io === IoKind.Write) {
      const record = log.beginWrite(buffers, positionBytes);
      const bytes = log.bytesOf(record);
      this.defer(thread, record, () => {
        thread.answer = device.write([bytes], positionBytes);
      });
    } else if (io === IoKind.Flush) {
      const record = log.begin(RecordKind.Flush, 0, 0);
      this.defer(thread, record, () => device.flush());
    } else {
      const record = log.begin(RecordKind.Discard, positionBytes, lengthBytes);
      this.defer(thread, record, () => device.discard(positionBytes, lengthBytes));
    }
  }

  private defer(thread: Thread, record: number, transfer: () => void): void {
    thread.stepsLeft = 1 + this.chance.below(TRANSFER_STEPS_MAX);
    thread.complete = () => {
      transfer();
      this.log.end(record);
    };
  }

  private passTime(): void {
    const first = this.threads.reduce((a, b) => (b.wakesAtMs < a.wakesAtMs ? b : a));
    if (first.wakesAtMs === Number.POSITIVE_INFINITY) throw new Error('all threads sleep, and nobody wakes them');
    this.nowMs = Math.max(this.nowMs, first.wakesAtMs);
    first.sleepsOn = -1;
    first.answer = TIMED_OUT;
  }
}
